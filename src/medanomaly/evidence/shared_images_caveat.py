"""Caveat from the shared images check, in words: test images that were seen before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.decision.caveat_record import listed, made, warning

#: How a shared image was found, in words.
HOW = {
    "by_address": "as the same file",
    "by_file": "as a copy of the file",
    "by_pixels": "by equal pixels",
}


def found_in(check: Mapping[str, Any], split: str, groups: bool = False) -> Mapping[str, Any] | None:
    """The part ``validation`` or ``training`` if it shares images (or, if asked, groups) with the test; else None."""
    part = check.get(split)
    if not isinstance(part, Mapping):
        return None
    return part if part.get("shared") or (groups and part.get("by_group")) else None


def counts(part: Mapping[str, Any]) -> str:
    """How the shared images were found, "118 as the same file and 2 as a copy of the file"."""
    return listed([f"{part[key]} {what}" for key, what in HOW.items() if part.get(key)])


def shared_images(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Test images that set the threshold, or that the model was trained on."""
    check = made(evidence, "shared_images")
    if check is None:
        return None
    # Where the sample table tells the groups, a caveat of its own names them.
    by_table = made(evidence, "groups") is not None
    validation, training = (found_in(check, split, groups=not by_table) for split in ("validation", "training"))
    if validation is None and training is None:
        return None
    parts, titles = [], []
    if training is not None:
        titles.append("training")
        parts.append(
            f"{_told(training, check['images'], 'training')} The model learned from what it is tested on, so that all "
            "figures flatter."
        )
    if validation is not None:
        titles.append("validation")
        parts.append(
            f"{_told(validation, check['images'], 'validation')} {_chosen(evidence)} Take validation images that are "
            "not tested; of anomalib's data modules: val_split_mode from_train or from_test in place of same_as_test."
        )
    again = " `medanomaly data check` lists images with the same pixels." if _ours(evidence) else ""
    return warning(f"The test shares images with {listed(titles)}", f"{' '.join(parts)}{again}")


def _told(part: Mapping[str, Any], images: int, split: str) -> str:
    text = ""
    if part["shared"]:
        text = f"{part['shared']} of {images} test images are {split} images too ({counts(part)})."
    if part.get("by_group"):
        more = "further test images are" if text else f"of {images} test images are"
        text = f"{text} {part['by_group']} {more} of groups (patients) that {split} holds too.".strip()
    return text


def _chosen(evidence: Mapping[str, Any]) -> str:
    if (evidence.get("operating_point") or {}).get("rule") == "manual":
        return "Where validation chose the checkpoint, the figures of these images flatter."
    return (
        "The threshold is chosen on validation images: on those that are tested too, sensitivity and specificity "
        "flatter, and AUROC too where validation chose the checkpoint."
    )


def _ours(evidence: Mapping[str, Any]) -> bool:
    return bool((evidence.get("data") or {}).get("reading"))
