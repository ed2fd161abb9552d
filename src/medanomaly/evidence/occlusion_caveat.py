"""Caveat from the occlusion check, in words: whether the score comes from the lesion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.decision.caveat_record import figure, listed, made, note, warning
from medanomaly.metrics.formatting import number

_LEFT_OUT = {
    "no_control": "with no place for a region of equal shape",
    "too_large": "whose mask covers more than half of the frame",
    "empty": "whose mask marks nothing that the model sees",
}


def likewise(check: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part in which normal images are filled too; None where it was not made, as before version 0.2.0."""
    filled = check.get("filled")
    return filled if isinstance(filled, Mapping) and "reason" not in filled else None


def deciding(check: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that decides: both classes filled where that was made, else against normal images as they are.

    Returns:
        With ``auroc_covered``, ``auroc_random`` and their ``difference``.
    """
    return likewise(check) or check


def most_stays(check: Mapping[str, Any]) -> bool:
    """Whether with the lesion covered images still rank above chance, by over half of what the control does."""
    part = deciding(check)
    rest, above_chance = part["auroc_covered"]["low"], part["auroc_random"]["value"] - 0.5
    return rest is not None and rest > 0.5 and part["difference"]["value"] < above_chance / 2


def fill_effect(check: Mapping[str, Any]) -> int:
    """1 where filled normal images score above themselves as they are, −1 where below, 0 where neither is shown."""
    own = (likewise(check) or {}).get("auroc") or {}
    low, high = own.get("low"), own.get("high")
    if low is None or high is None:
        return 0
    return int(low > 0.5) - int(high < 0.5)


def occlusion(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Whether the score falls when the lesion is covered."""
    check = made(evidence, "covering")
    if check is None:
        return None
    part = deciding(check)
    low, high = part["difference"]["low"], part["difference"]["high"]
    text = f"{_as_they_are(check)} {_filled_likewise(check)}{_flips(check)}{_left_out(check)}"
    if low is None or high is None:
        return note("Whether the score comes from the lesion is open", f"{text} The difference has no interval.")
    if low > 0:
        if not most_stays(check):
            return note("The score falls when the lesion is covered", text)
        return warning(
            "The score falls when the lesion is covered, but most of it stays",
            f"{text} Without the lesion the images still rank above chance, {figure(part['auroc_covered'])}: the "
            "masks miss part of it, or something else gives the class away.",
        )
    even = " It even rises: covering the lesion makes images look less normal to this model." if high < 0 else ""
    return warning(
        "The score does not fall when the lesion is covered",
        f"{text}{even} It is not shown that the model reacts to the lesion rather than to something else in the image.",
    )


def _as_they_are(check: Mapping[str, Any]) -> str:
    shown, covered, other = (number(check[name]["value"]) for name in ("auroc", "auroc_covered", "auroc_random"))
    return (
        f"In {check['images']} abnormal test images the marked region was filled from its surroundings: against normal "
        f"images as they are, AUROC goes from {shown} to {covered}. With a region of equal shape elsewhere filled "
        f"instead it is {other}; the difference is {figure(check['difference'], sign=True)}."
    )


def _filled_likewise(check: Mapping[str, Any]) -> str:
    part = likewise(check)
    if part is None:
        reason = (check.get("filled") or {}).get("reason")
        why = f" ({reason})" if reason else ""
        return f"Normal images filled likewise were not compared{why}: a trace of the fill itself would go unnoticed."
    covered, other = (number(part[name]["value"]) for name in ("auroc_covered", "auroc_random"))
    text = (
        f"Against {part['images']} normal images that were filled likewise, at the places of these masks, it is "
        f"{covered} with the lesion covered and {other} with the other region filled: a difference of "
        f"{figure(part['difference'], sign=True)}. There a trace of the fill is in both classes and cancels, so this "
        "comparison decides."
    )
    own = f"filled normal images against the same as they are have an AUROC of {figure(part['auroc'])}"
    if fill_effect(check) > 0:
        return f"{text} The fill itself raises scores: {own}. It holds up the figures against images as they are."
    if fill_effect(check) < 0:
        return f"{text} The fill itself lowers scores: {own}. It pulls down the figures against images as they are."
    return f"{text} It is not shown that the fill itself moves scores: {own}."


def _flips(check: Mapping[str, Any]) -> str:
    if not check["flagged"]:
        return ""
    return (
        f" Of {check['flagged']} of the abnormal images flagged at the tested threshold ({check['threshold']:.4g}), "
        f"{check['flips_back']} pass with the lesion covered, {check['random_flips_back']} with the other region."
    )


def _left_out(check: Mapping[str, Any]) -> str:
    left = [f"{check[key]} {what}" for key, what in _LEFT_OUT.items() if check[key]]
    return f" Left out: {listed(left)}." if left else ""
