"""Run all checks of a run, each on its own: one that fails leaves its reason and stops nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from medanomaly.evidence.checks import (
    border_shortcut,
    occlusion,
    overfitting,
    patient_leakage,
    shared_images,
    subgroups,
    trivial_baseline,
)
from medanomaly.evidence.checks.context import CheckError, Context, Scorer

logger = logging.getLogger(__name__)

CHECKS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "shared_images": shared_images.check,
    "one_number": trivial_baseline.check,
    "field_of_view": border_shortcut.check,
    "covering": occlusion.check,
    "overfitting": overfitting.check,
    "groups": patient_leakage.check,
    "subgroups": subgroups.check,
}
#: Made even where no others are asked for: a test on images that were seen before is none.
ALWAYS = ("shared_images", "groups")


def run_checks(
    module: Any,
    scorer: Scorer,
    predictions: pd.DataFrame,
    point: dict[str, Any] | None,
    seed: int = 0,
    validation: pd.DataFrame | None = None,
    names: Collection[str] = tuple(CHECKS),
    failed: Callable[[str, Exception], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Every check of a tested run.

    Args:
        module: The data module, ours or anomalib's; some checks need our sample table.
        scorer: What was tested; some checks score images again.
        predictions: Rows as in ``predictions.csv``.
        point: The record of the operating point, or None.
        seed: Draws samples of images and control regions.
        validation: Rows as in ``validation.csv``; None where no operating point of ours keeps them.
        names: Those that are made.
        failed: Told of each check that broke, by ``check NAME`` and its error; one that cannot be made did not.

    Returns:
        Records by name, see :mod:`medanomaly.evidence.checks`; plain JSON values.
    """
    context = Context(module, scorer, predictions, point, seed, validation)
    records = {}
    for name in (name for name in CHECKS if name in names):
        check = CHECKS[name]
        started = time.perf_counter()
        records[name] = _made(name, check, context, failed)
        logger.debug("check %s: %.1f s", name, time.perf_counter() - started)
    return records


def _made(
    name: str,
    check: Callable[[Context], dict[str, Any]],
    context: Context,
    failed: Callable[[str, Exception], None] | None,
) -> dict[str, Any]:
    try:
        return check(context)
    except CheckError as error:
        return {"reason": f"{error}"}
    except Exception as error:  # a check must not cost the run its results; the reason is in the record
        if failed is not None:
            failed(f"check {name.replace('_', ' ')}", error)
        else:
            logger.warning("The check %s could not be made (%s: %s).", name, type(error).__name__, error)
            logger.debug("check %s", name, exc_info=True)
        return {"reason": f"{type(error).__name__}: {error}"}
