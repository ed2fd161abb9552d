"""What a careful reader would object to, said in words before the figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from medanomaly.decision.caveat_text import note, warning
from medanomaly.evidence.check_caveats import CHECK_CAVEATS, SPLIT_CAVEATS
from medanomaly.evidence.run_caveats import failed, unranked
from medanomaly.metrics.interval import wilson

#: Below so many images of a class, figures are anecdotes.
_FEW = 30
#: An interval wider than this leaves open whether a model is good or useless.
_WIDE = 0.2


def caveats(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """Everything to be said about a run's evidence, warnings first.

    Args:
        evidence: The evidence record without its ``caveats``.

    Returns:
        Records with ``severity`` (``warning`` or ``note``), ``title`` and ``text``.
    """
    of_data = (_few, _groups, _masks)
    checks = (*_OF_POINT, *CHECK_CAVEATS, *of_data)
    return _found(evidence, (failed, unranked, *SPLIT_CAVEATS, _one_class, _ranking, *checks))


def of_operating_point(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """Those of :func:`caveats` that another operating point would change."""
    return _found(evidence, _OF_POINT)


def _found(
    evidence: dict[str, Any], checks: Iterable[Callable[[dict[str, Any]], dict[str, str] | None]]
) -> list[dict[str, str]]:
    given = [caveat for check in checks if (caveat := check(evidence)) is not None]
    return sorted(given, key=lambda caveat: caveat["severity"] != "warning")


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
    shown = f"AUROC is {auroc['value']:.3f}" + ("" if low is None else f" (95 % interval {low:.3f} to {high:.3f})")
    if auroc["value"] < 0.5 and (high is None or high < 0.5):
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
    if low is not None and low <= 0.5 <= high:
        return warning(
            "Chance cannot be ruled out",
            f"{shown}: the interval contains 0.5. These test images do not show that the score carries information.",
        )
    return None


def _changed(evidence: dict[str, Any]) -> dict[str, str] | None:
    history = (evidence["operating_point"] or {}).get("history")
    if not history:
        return None
    first, point = history[0], evidence["operating_point"]
    times = "once" if len(history) == 1 else f"{len(history)} times"
    return warning(
        "The operating point was changed after the test",
        f"The images were tested with the rule {_named(first)} (threshold {first['threshold']:.4g}); it has been "
        f"changed {times} since, last on {history[-1]['until'][:10]} to {_named(point)} ({point['threshold']:.4g}). A "
        "decision that is chosen when the test's results can be seen is exploratory: its sensitivity and specificity "
        "flatter. Confirm them on images that had no part in the choice.",
    )


def _named(point: dict[str, Any]) -> str:
    value = point["value"]
    if isinstance(value, dict):
        return f"{point['rule']} ({', '.join(f'{name} {number:g}' for name, number in value.items())})"
    return point["rule"] if value is None else f"{point['rule']} {value:g}"


def _useless(evidence: dict[str, Any]) -> dict[str, str] | None:
    table = evidence["image"]["confusion"]
    if table is None:  # of a bundle whose rule was changed where the test images are not
        return None
    flagged, passed = (
        table["true_positive"] + table["false_positive"],
        table["true_negative"] + table["false_negative"],
    )
    wrong = table["false_positive"] + table["false_negative"]
    if (flagged and passed) or not wrong:  # of one class alone, all decided alike may be all decided rightly
        return None
    what = "flags every test image" if flagged else "flags no test image"
    return warning(
        f"The operating point {what}",
        f"The decision {what}, so it says nothing. Look at the histogram, and choose another rule or value.",
    )


def _drift(evidence: dict[str, Any]) -> dict[str, str] | None:
    point, table = evidence["operating_point"], evidence["image"]["confusion"]
    if not point or table is None or point["rule"] not in ("quantile", "specificity", "conformal"):
        return None
    normal = table["false_positive"] + table["true_negative"]
    if not normal:
        return None
    expected = point["value"] if point["rule"] == "conformal" else 1 - point["value"]
    share = table["false_positive"] / normal
    # Both samples are finite: the threshold is itself an estimate from the validation normals.
    error = math.sqrt(expected * (1 - expected) * (1 / normal + 1 / max(point["fitted_on"]["normal"], 1)))
    if abs(share - expected) <= 1.96 * error:
        return None
    low, high = wilson(table["false_positive"], normal)
    return warning(
        "The threshold does not hold on the test images",
        f"The rule lets {100 * expected:.3g} % of healthy images be flagged, judged by validation; of {normal} healthy "
        f"test images {table['false_positive']} are ({100 * share:.1f} %, 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %), a larger difference than chance explains in samples of these sizes. Validation and test "
        "normals differ. Set the threshold on normal images from the place of use.",
    )


def _few(evidence: dict[str, Any]) -> dict[str, str] | None:
    few = [f"{evidence['image'][name]} {name}" for name in ("normal", "abnormal") if 0 < evidence["image"][name] < _FEW]
    if not few:
        return None
    return warning("Few test images", f"The test set has only {' and '.join(few)} images: read the intervals.")


def _threshold_few(evidence: dict[str, Any]) -> dict[str, str] | None:
    point = evidence["operating_point"]
    if not point or point["rule"] == "manual":
        return None
    if point["rule"] == "sensitivity":
        kinds: tuple[str, ...] = ("abnormal",)
    else:
        kinds = ("normal", "abnormal") if point["rule"] in ("f1", "youden", "cost") else ("normal",)
    few = [f"{point['fitted_on'][kind]} {kind}" for kind in kinds if point["fitted_on"][kind] < 100]
    if not few:
        return None
    return note(
        "The threshold rests on few images",
        f"It was chosen on {' and '.join(few)} validation images; another sample of the same size "
        "would move it noticeably.",
    )


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


def _manual(evidence: dict[str, Any]) -> dict[str, str] | None:
    point = evidence["operating_point"]
    if not point or point["rule"] != "manual" or point.get("history"):
        return None
    return warning(
        "The threshold was set by hand",
        f"Nothing here shows where {point['threshold']:.4g} comes from. Unless it was fixed before these test images "
        "were seen, sensitivity and specificity are exploratory: confirm them on images that had no part in it.",
    )


def _flag_all(evidence: dict[str, Any]) -> dict[str, str] | None:
    table = evidence["image"]["confusion"]
    if table is None or not evidence["image"]["abnormal"] or not evidence["image"]["normal"]:
        return None
    hits, alarms = table["true_positive"], table["false_positive"]
    misses, passed = table["false_negative"], table["true_negative"]
    if not hits + alarms or not misses + passed:  # said already: it flags all or nothing
        return None
    prevalence = (hits + misses) / (hits + alarms + misses + passed)
    # Written out: the edge, which shows caveats of a bundle, has no scipy to import two_by_two with.
    f1, all_f1 = 2 * hits / (2 * hits + alarms + misses), 2 * prevalence / (1 + prevalence)
    accuracy = (hits + passed) / (hits + alarms + misses + passed)
    if f1 > all_f1:
        return None
    text = (
        f"{100 * prevalence:.0f} % of the test images are abnormal, so flagging every image has an F1 of {all_f1:.3f} "
        f"and an accuracy of {prevalence:.3f}; this decision has {f1:.3f} and {accuracy:.3f}."
    )
    if accuracy <= prevalence:
        return warning("The decision is no better than flagging everything", text)
    return note("F1 is no better than that of flagging everything", f"{text} Judge by sensitivity and specificity.")


def _wide(evidence: dict[str, Any]) -> dict[str, str] | None:
    image, wide = evidence["image"], []
    for name, spelt in (("auroc", "AUROC"), ("sensitivity", "sensitivity"), ("specificity", "specificity")):
        low, high = image[name]["low"], image[name]["high"]
        if low is not None and high is not None and high - low > _WIDE:
            wide.append(f"{spelt} from {low:.2f} to {high:.2f}")
    if not wide:
        return None
    return note(
        "Too few cases for a close figure",
        f"These data are compatible with {', '.join(wide)} (95 % intervals). Four times as many patients would halve "
        "the width.",
    )


#: What another operating point would change.
_OF_POINT = (_changed, _manual, _useless, _flag_all, _drift, _threshold_few, _wide)
