"""What a careful reader would object to, said in words before the figures."""

from __future__ import annotations

import math
from typing import Any

from medanomaly.evidence.metrics import wilson

#: Below so many images of a class, figures are anecdotes.
_FEW = 30


def caveats(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """Everything to be said about a run's evidence, warnings first.

    Args:
        evidence: The evidence record without its ``caveats``.

    Returns:
        Records with ``severity`` (``warning`` or ``note``), ``title`` and ``text``.
    """
    found = [
        check(evidence) for check in (_one_class, _ranking, _useless, _drift, _few, _threshold_few, _groups, _masks)
    ]
    given = [caveat for caveat in found if caveat is not None]
    return sorted(given, key=lambda caveat: caveat["severity"] != "warning")


def _warning(title: str, text: str) -> dict[str, str]:
    return {"severity": "warning", "title": title, "text": text}


def _note(title: str, text: str) -> dict[str, str]:
    return {"severity": "note", "title": title, "text": text}


def _one_class(evidence: dict[str, Any]) -> dict[str, str] | None:
    image = evidence["image"]
    for have, lack in (("normal", "abnormal"), ("abnormal", "normal")):
        if not image[lack]:
            return _warning(
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
    shown = f"AUROC is {auroc['value']:.3f}" + ("" if low is None else f" (95 % interval {low:.3f} to {high:.3f})")
    if auroc["value"] < 0.5 and (high is None or high < 0.5):
        remedy = (
            "Set model.init_args.two_sided: true, which scores the distance from the typical normal score in either "
            "direction, and compare both on validation images"
            if "two_sided" in evidence["run"]["options"]
            else "Use a score that counts deviations in both directions"
        )
        return _warning(
            "The score is inverted",
            f"{shown}, below 0.5: abnormal images score lower than normal ones, because this model reconstructs them "
            f"better. A high score does not mean abnormal here, and the decisions below are not usable. {remedy}. "
            "Do not turn the sign round after looking at test images.",
        )
    if low is not None and low <= 0.5 <= high:
        return _warning(
            "No better than chance can be ruled out",
            f"{shown}: the interval contains 0.5. These test images do not show that the score carries information.",
        )
    return None


def _useless(evidence: dict[str, Any]) -> dict[str, str] | None:
    table = evidence["image"]["confusion"]
    flagged, passed = (
        table["true_positive"] + table["false_positive"],
        table["true_negative"] + table["false_negative"],
    )
    if flagged and passed:
        return None
    what = "flags every test image" if flagged else "flags no test image"
    return _warning(
        f"The operating point {what}",
        f"The decision {what}, so it says nothing. Look at the histogram, and choose another rule or value.",
    )


def _drift(evidence: dict[str, Any]) -> dict[str, str] | None:
    point, table = evidence["operating_point"], evidence["image"]["confusion"]
    normal = table["false_positive"] + table["true_negative"]
    if not point or point["rule"] != "quantile" or not normal:
        return None
    expected = 1 - point["value"]
    share = table["false_positive"] / normal
    # Both samples are finite: the threshold is itself an estimate from the validation normals.
    error = math.sqrt(expected * (1 - expected) * (1 / normal + 1 / max(point["fitted_on"]["normal"], 1)))
    if abs(share - expected) <= 1.96 * error:
        return None
    low, high = wilson(table["false_positive"], normal)
    return _warning(
        "The threshold does not hold on the test images",
        f"The rule lets {100 * expected:.3g} % of healthy validation images be flagged; of {normal} healthy test "
        f"images {table['false_positive']} are ({100 * share:.1f} %, 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %), a larger difference than chance explains in samples of these sizes. Validation and test "
        "normals differ. Set the threshold on normal images from the place of use.",
    )


def _few(evidence: dict[str, Any]) -> dict[str, str] | None:
    few = [f"{evidence['image'][name]} {name}" for name in ("normal", "abnormal") if 0 < evidence["image"][name] < _FEW]
    if not few:
        return None
    return _warning("Few test images", f"The test set has only {' and '.join(few)} images: read the intervals.")


def _threshold_few(evidence: dict[str, Any]) -> dict[str, str] | None:
    point = evidence["operating_point"]
    if not point or point["rule"] == "manual" or point["fitted_on"]["normal"] >= 100:
        return None
    return _note(
        "The threshold rests on few images",
        f"It was chosen on {point['fitted_on']['normal']} normal validation images; another sample of the same size "
        "would move it noticeably.",
    )


def _groups(evidence: dict[str, Any]) -> dict[str, str] | None:
    if evidence["data"]["groups_known"]:
        return None
    return _note(
        "Patients are not known",
        "Each image counts as its own group. If images of one patient are in train and test, the figures flatter, and "
        "if a patient has several test images the intervals are too narrow.",
    )


def _masks(evidence: dict[str, Any]) -> dict[str, str] | None:
    if not evidence["pixel"] or not evidence["pixel"].get("mask_note"):
        return None
    return _note("What the masks mark", evidence["pixel"]["mask_note"])
