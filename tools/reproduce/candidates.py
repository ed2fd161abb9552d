"""The plugins that compete on a data set, and the choice of the best by validation alone."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from tools.reproduce.cells import Cells
from tools.reproduce.paths import HOME

#: Models that learn from normal images alone.
ONE_CLASS = ("Autoencoder", "AdversarialAutoencoder", "PerceptualAutoencoder", "VariationalAutoencoder")


def one_class_configs(ending: str) -> list[str]:
    """Names of the one-class configurations ``configs/<model>_<ending>.yaml``."""
    found = []
    for path in sorted((HOME / "configs").glob(f"*_{ending}.yaml")):
        model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["class_path"].rpartition(".")[2]
        # A study's own autoencoder is a system that is reproduced, not a competitor.
        if model in ONE_CLASS and path.stem.count("_") == ending.count("_") + 1:
            found.append(path.stem)
    return found


def best(cells: Cells, rows: Sequence[str], by: str = "validation_auroc") -> str | None:
    """The row with the highest validation figure; of equal ones the first. None if no row has been measured."""
    values = {row: cells.found[row]["figures"].get(by, {}).get("value") for row in rows if row in cells}
    measured = {row: value for row, value in values.items() if value is not None}
    return max(measured, key=lambda row: measured[row], default=None)
