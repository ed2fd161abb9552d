"""Caveats of an operating point, in words. Numpy alone: a bundle is decided with it."""

from __future__ import annotations

from typing import Any

from medanomaly.decision.caveat_record import found, note, warning
from medanomaly.decision.rules import RULES
from medanomaly.decision.threshold_rules import rank_among_normals
from medanomaly.metrics.beta_binomial import usual_counts
from medanomaly.metrics.confusion import flag_all_f1
from medanomaly.metrics.formatting import rule
from medanomaly.metrics.interval import wilson

#: An interval wider than this leaves open whether a model is good or useless.
_WIDE = 0.2


def of_operating_point(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """The caveats that another operating point would change, warnings first.

    Args:
        evidence: A run's evidence; ``operating_point`` and ``image`` are enough.

    Returns:
        Records with ``severity`` (``warning`` or ``note``), ``title`` and ``text``.
    """
    return found(evidence, OPERATING_POINT_CAVEATS)


def _changed(evidence: dict[str, Any]) -> dict[str, str] | None:
    history = (evidence["operating_point"] or {}).get("history")
    if not history:
        return None
    first, point = history[0], evidence["operating_point"]
    times = "once" if len(history) == 1 else f"{len(history)} times"
    return warning(
        "The operating point was changed after the test",
        f"The images were tested with the rule {rule(first, 'g')} (threshold {first['threshold']:.4g}); it has been "
        f"changed {times} since, last on {history[-1]['until'][:10]} to {rule(point, 'g')} "
        f"({point['threshold']:.4g}). A decision that is chosen when the test's results can be seen is exploratory: "
        "its sensitivity and specificity flatter. Confirm them on images that had no part in the choice.",
    )


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
    flagged, normal = table["false_positive"], table["false_positive"] + table["true_negative"]
    fitted = point["fitted_on"]["normal"]
    rank = rank_among_normals(point["rule"], point["value"], fitted)
    if not normal or not 1 <= rank <= fitted:
        return None
    # Both samples are finite: the threshold is itself a score of the validation normals.
    least, most = usual_counts(normal, fitted - rank + 1, rank)
    if least <= flagged <= most:
        return None
    allowed = point["value"] if point["rule"] == "conformal" else 1 - point["value"]
    low, high = wilson(flagged, normal)
    return warning(
        "The threshold does not hold on the test images",
        f"The rule lets {100 * allowed:.3g} % of healthy images be flagged. By its {fitted} healthy validation images, "
        f"{least} to {most} of {normal} healthy test images are expected (19 times in 20 or more); {flagged} are "
        f"({100 * flagged / normal:.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f} %). Validation and test "
        "normals differ. Set the threshold on normal images from the place of use.",
    )


def _threshold_few(evidence: dict[str, Any]) -> dict[str, str] | None:
    point = evidence["operating_point"]
    if not point:
        return None
    few = [f"{point['fitted_on'][kind]} {kind}" for kind in RULES[point["rule"]].uses if point["fitted_on"][kind] < 100]
    if not few:
        return None
    return note(
        "The threshold rests on few images",
        f"It was chosen on {' and '.join(few)} validation images; another sample of the same size "
        "would move it noticeably.",
    )


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
    f1, all_f1 = 2 * hits / (2 * hits + alarms + misses), flag_all_f1(prevalence)
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


#: What another operating point would change, in the order in which a reader meets it.
OPERATING_POINT_CAVEATS = (_changed, _manual, _useless, _flag_all, _drift, _threshold_few, _wide)
