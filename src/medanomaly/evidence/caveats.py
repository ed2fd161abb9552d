"""Gather the caveats of a run, and those about its figures: what a careful reader would object to, in words."""

from __future__ import annotations

from typing import Any

from medanomaly._moved import old_names
from medanomaly.decision.caveat_record import figure, found, note, warning
from medanomaly.decision.operating_point_caveats import OPERATING_POINT_CAVEATS
from medanomaly.evidence.check_caveats import CHECK_CAVEATS, SPLIT_CAVEATS
from medanomaly.evidence.run_caveats import failed, unranked

__getattr__ = old_names(__name__)

#: With fewer images of a class than this, figures are anecdotes.
_FEW = 30


def caveats(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """Everything to be said about a run's evidence, warnings first.

    Args:
        evidence: The evidence record without its ``caveats``.

    Returns:
        Records with ``severity`` (``warning`` or ``note``), ``title`` and ``text``.
    """
    of_data = (_few, _groups, _masks)
    checks = (*OPERATING_POINT_CAVEATS, *CHECK_CAVEATS, *of_data)
    return found(evidence, (failed, unranked, *SPLIT_CAVEATS, _one_class, _ranking, *checks))


def _one_class(evidence: dict[str, Any]) -> dict[str, str] | None:
    image = evidence["image"]
    for have, lack in (("normal", "abnormal"), ("abnormal", "normal")):
        if not image[lack]:
            return warning(
                f"The test set has no {lack} image",
                f"All {image[have]} test images are {have}: AUROC and average precision are undefined. "
                f"Add {lack} images to the test split; until then only the decisions on {have} images can be judged.",
            )
    return None


def _ranking(evidence: dict[str, Any]) -> dict[str, str] | None:
    auroc = evidence["image"]["auroc"]
    if auroc["value"] is None:
        return None
    low, high = auroc["low"], auroc["high"]
    shown = f"AUROC is {figure(auroc)}"
    if low is None or high is None:
        return None
    if high < 0.5:
        # One image a class says nothing of the others; nor does an interval of width 0, which older runs hold.
        if low == high or min(evidence["image"]["normal"], evidence["image"]["abnormal"]) < 2:
            return None
        remedy = (
            "Set model.init_args.two_sided: true, which scores the distance from the typical normal score in either "
            "direction, and compare both on validation images"
            if "two_sided" in evidence["run"]["options"]
            else "Use a score that counts deviations in both directions, such as that of the rule sigma_two_sided"
        )
        return warning(
            "The score is inverted",
            f"{shown}, below 0.5: abnormal images score lower than normal ones, because this model reconstructs them "
            f"better. A high score does not mean abnormal here, and the decisions below are not usable. {remedy}. "
            "Do not turn the sign round after looking at test images.",
        )
    if low <= 0.5:
        return warning(
            "Chance cannot be ruled out",
            f"{shown}: the interval contains 0.5. These test images do not show that the score carries information.",
        )
    return None


def _few(evidence: dict[str, Any]) -> dict[str, str] | None:
    few = [f"{evidence['image'][name]} {name}" for name in ("normal", "abnormal") if 0 < evidence["image"][name] < _FEW]
    if not few:
        return None
    return warning("Few test images", f"The test set has only {' and '.join(few)} images: read the intervals.")


def _groups(evidence: dict[str, Any]) -> dict[str, str] | None:
    if evidence["data"]["groups_known"]:
        return None
    return note(
        "Patients are not known",
        "Each image counts as its own group. If images of one patient are in train and test, the figures flatter, and "
        "if a patient has several test images the intervals are too narrow.",
    )


def _masks(evidence: dict[str, Any]) -> dict[str, str] | None:
    if not evidence["pixel"] or not evidence["pixel"].get("mask_note"):
        return None
    return note("What the masks mark", evidence["pixel"]["mask_note"])
