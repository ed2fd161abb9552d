"""Where the reproduction reads from and writes to, and what is missing there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medanomaly.files import sha256

HOME = Path(__file__).resolve().parents[2]
#: How commands are printed: the folders' names differ from machine to machine.
DATA, WEIGHTS = "$MEDANOMALY_DATA", "$MEDANOMALY_WEIGHTS"


@dataclass(frozen=True)
class Paths:
    """Where results go.

    Args:
        quick: Whether this is ``--quick``: then nothing lies where figures are published.
        out: Folder of cells, tables and plots.
        page: The page that is generated.
    """

    quick: bool
    out: Path
    page: Path

    @classmethod
    def of(cls, quick: bool, out: Path | None = None) -> Paths:
        """The published paths; in quick mode, or for another ``out``, all below one folder."""
        if out is None and quick:
            out = HOME / "results" / "reproduce_quick"
        if out is None:
            return cls(quick, Path(__file__).resolve().parent, HOME / "RESULTS.md")
        return cls(quick, out, out / "RESULTS.md")

    def cell(self, system: str, row: str, seed: int) -> Path:
        """File of one cell."""
        return self.out / "cells" / system / f"{row}-{seed}.json"

    def table(self, system: str) -> Path:
        """File of a system's tables as JSON."""
        return self.out / "tables" / f"{system}.json"

    def plot(self, name: str) -> Path:
        """File of a plot."""
        return self.out / "plots" / f"{name}.png"


def folder(variable: str) -> Path | None:
    """The folder that ``$MEDANOMALY_DATA`` or ``$MEDANOMALY_WEIGHTS`` names; None where it is not set."""
    name = os.environ.get(variable.removeprefix("$"))
    return Path(name).resolve() if name else None


def expand(text: str, work: Path) -> str:
    """An option's value with the data folder and ``DIR``, the folder of what was prepared for it, filled in."""
    for name in (DATA, WEIGHTS):
        if name in text:
            text = text.replace(name, str(folder(name)))
    return text.replace("DIR/", f"{work}/")


def lacking(needs: Sequence[str]) -> str | None:
    """Why a training cannot be run here, or None.

    Args:
        needs: Files as ``$MEDANOMALY_DATA/…`` or ``$MEDANOMALY_WEIGHTS/…``; of names joined with ``|`` one is enough.
    """
    for need in needs:
        variable, _, path = need.partition("/")
        top = folder(variable)
        kind = "data" if variable == DATA else "weights"
        if top is None:
            return f"not measured: {variable} is not set"
        if not any((top / one).exists() for one in path.split("|")):
            return f"not measured: {kind} absent ({path.replace('|', ' or ')})"
    return None


def hashes() -> dict[str, str]:
    """SHA-256 of what says which image is which: every ``split*.csv``, ``.npz`` and ``idx`` file of the data folder."""
    top = folder(DATA)
    if top is None:
        return {}
    patterns = ("*/split*.csv", "*/*.npz", "*/*-ubyte.gz", "*/Data_Entry_2017*.csv", "*/train.csv")
    files = sorted({path for pattern in patterns for path in top.glob(pattern)})
    return {path.relative_to(top).as_posix(): sha256(path) for path in files}
