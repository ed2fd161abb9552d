"""Card of the occlusion check: marked regions filled from their surroundings, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.decision.caveat_record import Told, ends
from medanomaly.evidence.occlusion_caveat import deciding, fill_effect, likewise, most_stays
from medanomaly.metrics.formatting import raw, with_span


def occlusion(check: Mapping[str, Any]) -> Told:
    """The check as the page shows it: state, sentences, facts."""
    low, high = ends(deciding(check).get("difference"))
    if low is None or high is None:
        state, means = "unclear", "The difference has no interval here."
    elif low > 0:
        state, means = "good", "Covering the lesion lowers the score more than covering something else."
        if most_stays(check):
            state, means = "bad", f"{means} But most of what tells the classes apart stays without it."
    else:
        state, means = "bad", "It is not shown that the score comes from the marked regions."
    facts = [
        ("AUROC as it is", with_span(check.get("auroc"))),
        ("with the lesion covered", with_span(check.get("auroc_covered"))),
        ("with an equal region elsewhere covered", with_span(check.get("auroc_random"))),
        ("the latter minus the former, paired", with_span(check.get("difference"), "signed")),
        *_likewise(check),
    ]
    if check.get("flagged") is not None:
        at = f" at {raw(check['threshold'])}" if check.get("threshold") is not None else ""
        facts += [
            (f"flagged{at}, but passed with {what} covered", f"{check[key]} of {check['flagged']}")
            for key, what in (("flips_back", "the lesion"), ("random_flips_back", "a region elsewhere"))
            if check.get(key) is not None
        ]
    if check.get("lower") is not None:
        facts.append(("lower without the lesion than without the other", f"{check['lower']} of {check['images']}"))
    which = f"In {check['images']} abnormal images" if check.get("images") is not None else "In abnormal images"
    return (
        state,
        f"{which} the marked region was filled from its surroundings: the score should fall. {means}{_fill(check)}",
        facts,
    )


def _likewise(check: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts of normal images that were filled too."""
    part = likewise(check)
    if part is None:
        return []
    facts = [
        (f"against {part['images']} normal images filled likewise, with the lesion covered", part["auroc_covered"]),
        ("likewise, with an equal region elsewhere covered", part["auroc_random"]),
    ]
    return [
        *((name, with_span(figure)) for name, figure in facts),
        ("the latter minus the former, which decides", with_span(part["difference"], "signed")),
        ("AUROC, filled normal images above the same as they are", with_span(part["auroc"])),
        *(
            [
                (
                    "of these, normal images that pass, but are flagged once filled",
                    f"{part['flagged']} of {part['passed']}",
                )
            ]
            if part.get("passed") is not None
            else []
        ),
    ]


def _fill(check: Mapping[str, Any]) -> str:
    """What filling alone does, and whether it was looked at."""
    if likewise(check) is None:
        return " Normal images filled likewise were not compared: a trace of the fill itself would go unnoticed."
    return {
        1: " Filling alone raises the scores of normal images: judge by the comparison with both classes filled.",
        -1: " Filling alone lowers the scores of normal images: judge by the comparison with both classes filled.",
        0: "",
    }[fill_effect(check)]
