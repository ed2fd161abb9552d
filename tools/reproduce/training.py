"""What is trained for one row of a table, and the command that does it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tools.reproduce.paths import DATA, HOME, WEIGHTS, expand, lacking

from medanomaly.data.renamed_options import RENAMED

MODEL, LOOKS = "--model.init_args.", "--data.init_args."
POINT = f"{MODEL}post_processor.init_args."
#: Added by ``--quick``: a few steps, and a report without pictures and checks.
QUICK = {
    "--trainer.max_epochs": "1",
    "--trainer.check_val_every_n_epoch": "1",
    "--trainer.limit_train_batches": "5",
    f"{MODEL}visualizer.class_path": "medanomaly.runs.evidence_writer.EvidenceWriter",
    f"{MODEL}visualizer.init_args.cases": "0",
    f"{MODEL}visualizer.init_args.checks": "false",
}


@dataclass(frozen=True)
class Training:
    """One training through the public door, ``medanomaly train``, and what is read from its run.

    Args:
        name: The row's name: ``--rows NAME`` runs it alone.
        config: Configuration, below the repository.
        options: Further command-line options by their names. Values may hold ``$MEDANOMALY_DATA`` and ``DIR/``, the
            folder of what ``prepare`` wrote.
        read: Takes the tested run, and by name those of ``also``, and gives what the cell keeps.
        data: Files that must be there, see :func:`tools.reproduce.paths.lacking`.
        prepare: Writes what the options name into a folder, by the seed.
        also: Further tests of the trained weights, each by the options in which its data differ.
        quick: What ``--quick`` changes beside :data:`QUICK`; None leaves the row out of it.
        minutes: Of one thread, roughly: the longest are started first.
    """

    name: str
    config: str
    options: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[Any, Mapping[str, Any]], dict[str, Any]] = field(default=lambda _run, _also: {})
    data: tuple[str, ...] = ()
    prepare: Callable[[Path, int], None] | None = None
    also: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    quick: Mapping[str, str] | None = field(default_factory=dict)
    minutes: float = 1.5

    @property
    def values(self) -> dict[str, Any]:
        """The configuration's values."""
        return yaml.safe_load((HOME / self.config).read_text(encoding="utf-8"))

    def absent(self) -> str | None:
        """Why it cannot be run here, or None: data, or the weights that its configuration names, are not there."""
        weights = self.options.get(f"{MODEL}weights") or self.values["model"]["init_args"].get("weights")
        files = (f"{WEIGHTS}/{weights}",) if str(weights).endswith(".safetensors") else ()
        return lacking((*self.data, *files))

    def all_options(self, seed: int, quick: bool) -> dict[str, str]:
        """Options of the command, the seed's and those of ``--quick`` included."""
        seeds = {f"{MODEL}seed": str(seed), f"{LOOKS}seed": str(seed)}
        return {**self.options, **seeds, **({**QUICK, **(self.quick or {})} if quick else {})}

    def command(self, seed: int, quick: bool = False, work: Path | None = None) -> list[str]:
        """Arguments of ``medanomaly``; as they are printed, or with ``work`` as they are run."""
        options = self.all_options(seed, quick)
        # A class must be named before the options that only it has.
        names = sorted(options, key=lambda name: (name not in ("--model", "--data"), ".class_path" not in name))
        found = ["train", "--config", self.config]
        for name in names:
            found += [name, options[name] if work is None else expand(options[name], work)]
        return found

    def printed(self, seed: int, quick: bool = False) -> str:
        """The command as a shell takes it in the repository's folder, where ``tools`` can be imported."""
        words = ["python", "-m", "medanomaly.cli", *self.command(seed, quick)]
        # Double quotes, in which a shell fills in the data folder.
        escaped = (word.replace('"', '\\"') for word in words)
        return " ".join(f'"{word}"' if set(word) & set(' []"') else word for word in escaped)

    def key(self, seed: int, quick: bool) -> str:
        """Of all that decides the figures: the configuration's values, whatever its comments, and the options."""
        also = {name: _as_measured(options) for name, options in self.also.items()}
        said = [self.values, _as_measured(self.all_options(seed, quick)), also]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def _as_measured(options: Mapping[str, str]) -> dict[str, str]:
    """Options by the names of version 0.1.0: a cell's key outlives a change of name."""
    old = {f"{LOOKS}{new}": f"{LOOKS}{name}" for name, new in RENAMED.items()}
    return {old.get(name, name): value for name, value in options.items()}


def rooted(path: str) -> dict[str, str]:
    """The option that names a folder below the data folder."""
    return {f"{LOOKS}root": f"{DATA}/{path}"}
