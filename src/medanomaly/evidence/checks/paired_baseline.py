"""Compare an image statistic with the model (paired): which one, which direction, and whether it ranks as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.evidence.bootstrap_figures import number
from medanomaly.evidence.checks.context import CheckError, figure
from medanomaly.metrics.delong import auroc_difference, auroc_interval

#: With fewer validation images of a class, a number chosen on them would be a matter of luck.
FEWEST = 10


@dataclass(frozen=True)
class Values:
    """Numbers of some images.

    Args:
        numbers: Name to values (n,), any range.
        abnormal: Truth (n,) of bool.
        groups: Group of each image (n,), any values.
    """

    numbers: Mapping[str, np.ndarray]
    abnormal: np.ndarray
    groups: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether a number can be chosen on them."""
        return min(int(self.abnormal.sum()), int((~self.abnormal).sum())) >= FEWEST

    def only(self, keep: np.ndarray) -> Values:
        """The images where ``keep`` (n,) of bool is true."""
        numbers = {name: np.asarray(values)[keep] for name, values in self.numbers.items()}
        return Values(numbers, self.abnormal[keep], self.groups[keep])


def compare(test: Values, scores: np.ndarray, validation: Values | None) -> dict[str, Any]:
    """The number that ranks best, against the model's scores on the same test images.

    Number and direction are chosen where AUROC lies furthest from 0.5 on validation images with labels. Without at
    least 10 of each class they are chosen on the test images themselves, which flatters the number.

    Args:
        test: Numbers of the test images.
        scores: The model's scores (n,) of the same images, any range; higher is more abnormal.
        validation: The same numbers of validation images, or None.

    Returns:
        Record as in :mod:`medanomaly.evidence.checks`, without ``left_out`` and ``note``. Intervals are DeLong's by
        group; the difference is paired.

    Raises:
        CheckError: if a class is missing or no number is finite for all images.
        ValueError: if a score is NaN or infinite.
    """
    abnormal, groups = np.asarray(test.abnormal, dtype=bool), test.groups
    if abnormal.all() or not abnormal.any():
        raise CheckError(f"there is no {'normal' if len(abnormal) and abnormal.all() else 'abnormal'} test image")
    known = validation if validation is not None and validation.enough else None
    rows: list[tuple[float, dict[str, Any]]] = []
    for name, values in test.numbers.items():
        seen = None if known is None else known.numbers[name]
        if not np.isfinite(values).all() or (seen is not None and not np.isfinite(seen).all()):
            continue
        on_test = auroc_interval(values, abnormal, groups)
        chosen = on_test if known is None or seen is None else auroc_interval(seen, known.abnormal, known.groups)
        low = chosen.value < 0.5
        signed = -values if low else values
        row = {
            "name": name,
            "validation": None if known is None else number(chosen.value),
            "test": number(on_test.value),
            "direction": "low" if low else "high",
            # NaN ends compare false: not settled.
            "settled": None if known is None else bool(chosen.high < 0.5 if low else chosen.low > 0.5),
            "auroc": figure(auroc_interval(signed, abnormal, groups)),
            "difference": figure(auroc_difference(scores, signed, abnormal, groups)),
        }
        rows.append((abs(chosen.value - 0.5), row))
    if not rows:
        raise CheckError("no number could be taken of every image")
    ordered = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    best = ordered[0]
    return {
        "name": best["name"],
        "direction": best["direction"],
        "chosen_on": "test" if known is None else "validation",
        "auroc": best["auroc"],
        "difference": best["difference"],
        "images": {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())},
        "all": ordered,
    }
