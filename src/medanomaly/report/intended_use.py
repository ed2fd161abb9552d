"""Limits of a run's figures and the model's intended use, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.metrics.formatting import percent, plain

#: Of every model that this toolkit exports; also in the card of its bundle.
INTENDED_USE = (
    "Research use; not a medical device. Marks images that differ from the normal images it was trained on, for a "
    "person to look at. Valid only for images that are read in the recorded way and come from sources like those of "
    "the training data."
)


def limits(evidence: Mapping[str, Any]) -> list[str]:
    """Limits of a run in plain sentences, those of this run first.

    Args:
        evidence: The evidence record, completed by :func:`medanomaly.report.page.completed`.
    """
    image, data, pixel = evidence["image"], evidence["data"], evidence["pixel"]
    found = [
        f"All figures come from one data set, {evidence['run']['data']}. They say nothing of other devices, sites, "
        "protocols or patients; only a test on images from the place of use does."
    ]
    if image["prevalence"]:
        found.append(
            f"{percent(image['prevalence'], 1)} of the test images are abnormal. Precision, average precision and F1 "
            "change with that share; sensitivity, specificity and AUROC do not."
        )
    if not data["groups_known"]:
        found.append("Patients are not known: figures may flatter, and intervals may be too narrow.")
    if (evidence["operating_point"] or {}).get("history"):
        found.append("The threshold was changed after the test: what it decides on these images is exploratory.")
    if pixel and pixel.get("mask_note"):
        found.append(f"Pixel figures are against these masks: {pixel['mask_note']}")
    elif not pixel:
        found.append("There are no pixel figures: whether the heat map points at the lesion is not shown.")
    if data["reading"]:
        shown = "; ".join(f"{name} {plain(value)}" for name, value in data["reading"].items() if value is not None)
        found.append(f"Images must be read in the same way ({shown}).")
    found += [
        "A decision is about one image: an examination with many images has more chances of a false alarm.",
        "An image is flagged because it differs from the normal training images, which need not mean disease; a "
        "disease that resembles them is passed.",
        "The heat map shows where the score comes from. It is no diagnosis and no outline of a lesion.",
    ]
    return found
