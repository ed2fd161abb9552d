"""Cells: what is kept of one training with one seed, so that a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.reproduce.inputs import data_digest
from tools.reproduce.paths import Paths
from tools.reproduce.tables import Figure, Missing
from tools.reproduce.training import Training

NOT_RUN = "not run yet"
DATA_CHANGED = "not run on the present data yet"


def read(paths: Paths, system: str, training: Training, seed: int) -> dict[str, Any] | None:
    """A finished cell of the present configuration, command and data, or None."""
    return _read(paths, system, training, seed)[0]


def _read(paths: Paths, system: str, training: Training, seed: int) -> tuple[dict[str, Any] | None, str]:
    """A cell, or None and why: there is none, or it no longer holds. Data that are not here cannot be compared."""
    path = paths.cell(system, training.name, seed)
    if not path.is_file():
        return None, NOT_RUN
    cell = json.loads(path.read_text(encoding="utf-8"))
    if cell["key"] != training.key(seed, paths.quick):
        return None, NOT_RUN
    here = data_digest(training, seed, paths.quick)
    if here is not None and cell.get("data_sha256") != here:
        return None, DATA_CHANGED
    return cell, ""


def write(paths: Paths, system: str, training: Training, seed: int, cell: Mapping[str, Any]) -> None:
    """Keep a cell."""
    path = paths.cell(system, training.name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(cell, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Cells:
    """The cells of one system and one seed, for its section.

    Args:
        found: Finished cells by row.
        missing: Why a row has none.
        seed: The seed.
        quick: Whether they are of ``--quick``.
    """

    found: Mapping[str, Mapping[str, Any]]
    missing: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    quick: bool = False

    @classmethod
    def load(cls, paths: Paths, system: str, trainings: Sequence[Training], seed: int) -> Cells:
        """Read what is there; a row without a cell says whether its data are absent or it has not been run."""
        found, missing = {}, {}
        for training in trainings:
            absent = training.absent()
            cell, why = _read(paths, system, training, seed)
            if cell is not None:
                found[training.name] = cell
            elif paths.quick and training.quick is None and absent is None:
                missing[training.name] = "left out by --quick"
            else:
                missing[training.name] = absent or why
        return cls(found, missing, seed, paths.quick)

    def __contains__(self, row: str) -> bool:
        """Whether the row has been measured."""
        return row in self.found

    def figure(self, row: str, name: str, percent: bool = False, digits: int = 3) -> Figure | Missing:
        """A figure of a row, or why there is none."""
        if row not in self.found:
            return Missing(self.missing.get(row, NOT_RUN))
        if name not in self.found[row]["figures"]:
            return Missing("not read: run the row with --fresh")
        return Figure.of(self.found[row]["figures"][name], percent, digits)

    def fact(self, row: str, name: str, default: Any = None) -> Any:
        """What else a row's cell keeps; the default where the row has none."""
        return self.found.get(row, {}).get("facts", {}).get(name, default)
