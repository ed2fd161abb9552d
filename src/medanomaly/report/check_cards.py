"""Cards of the honesty checks in plain words: what was tried, what came out, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.decision.caveat_record import Told, ends
from medanomaly.evidence.check_caveats import rivals_of, telling_of
from medanomaly.evidence.shared_images_caveat import counts, found_in
from medanomaly.metrics.formatting import number, plain, sentence, signed, span, with_span
from medanomaly.report.occlusion_card import occlusion

#: Titles of the checks, in the order of the page; others follow under their own names.
TITLES = {
    "shared_images": "Were test images seen before the test?",
    "one_number": "Does one image statistic do as well?",
    "field_of_view": "Does the border give the class away?",
    "covering": "Does the score come from the lesion?",
    "overfitting": "Does the model know its training images by heart?",
    "groups": "Are patients of the test in training too?",
}
# "Nothing found" would say the reverse beside "Does the score come from the lesion?".
_VERDICTS = {"good": "no objection", "bad": "look here", "unclear": "with care", "off": "not run"}


def check_cards(checks: Mapping[str, Any], auroc: Mapping[str, Any], groups_known: bool) -> list[dict[str, Any]]:
    """Each check as the page shows it, but for the subgroups.

    Args:
        checks: ``evidence["checks"]``, see :mod:`medanomaly.evidence.checks`; a check may be None.
        auroc: The model's own AUROC with its interval, to compare with.
        groups_known: Whether it is known which images belong together.

    Returns:
        Records with ``title``, ``state`` (``good``, ``bad``, ``unclear``, ``off``), ``verdict`` (the state in words),
        ``text`` (sentences), ``facts`` (pairs of name and text) and ``table`` (None, or ``head`` and ``rows`` of text).
    """
    names = [*(name for name in TITLES if name in checks), *(name for name in checks if name not in TITLES)]
    found = []
    for name in names:
        if name == "subgroups":
            continue
        check, table = checks[name], None
        result: Told
        if not isinstance(check, Mapping) or set(check) == {"reason"}:
            reason = check["reason"] if isinstance(check, Mapping) else "the evidence does not say why"
            result = "off", sentence(f"Not run: {reason}"), []
        elif name in ("one_number", "field_of_view"):
            result = (_number if name == "one_number" else _border)(check, auroc)
            table = _tried(check)
        elif name == "groups":
            result = _groups(check, groups_known)
        elif name == "shared_images":
            result = _shared(check)
        else:
            result = {"covering": occlusion, "overfitting": _overfitting}.get(name, _other)(check)
        state, text, facts = result
        title = TITLES.get(name, name.replace("_", " ").capitalize())
        found.append(
            {"title": title, "state": state, "verdict": _VERDICTS[state], "text": text, "facts": facts, "table": table}
        )
    return found


def _number(check: Mapping[str, Any], auroc: Mapping[str, Any]) -> Told:
    """A number of the image that needs no model."""
    low, high = ends(check.get("difference"))
    if low is None or high is None:
        state, means = "unclear", "The difference to the model has no interval here."
    elif low > 0:
        state, means = "good", "The model ranks better than this number."
    elif high < 0:
        state, means = "bad", "This number alone ranks better than the model: a likely shortcut, and the one to beat."
    else:
        state, means = "bad", "It is not shown that the model ranks better than this number."
    others = [row["name"] for row in rivals_of(check) if row["name"] != check.get("name")] if check.get("all") else []
    if others:
        but = "But it is not shown to rank better than" if state == "good" else "The same holds of"
        state, means = "bad", f"{means} {but} {', '.join(others)} (listed below)."
    return state, f"{_best(check)} {means}{_note(check)}", _against(check, auroc)


def _border(check: Mapping[str, Any], auroc: Mapping[str, Any]) -> Told:
    """The outer ring of what the model sees, where no lesion is."""
    low, better = ends(check.get("auroc"))[0], ends(check.get("difference"))[0]
    if low is None:
        state, means = "unclear", "Its AUROC has no interval here."
    elif low > 0.5:
        state = "bad" if better is None or better <= 0 else "unclear"
        means = "The classes can be told apart where no lesion is: crop or mask the border, and compare."
    else:
        state, means = "good", "It is not shown that the border tells the classes apart."
    others = [row for row in telling_of(check) if row["name"] != check.get("name")] if check.get("all") else []
    if others and state == "good":
        names = ", ".join(row["name"] for row in others)
        beaten = all((ends(row.get("difference"))[0] or 0) > 0 for row in others)
        state = "unclear" if beaten else "bad"
        means = f"It does not tell the classes apart, but {names} {'does' if len(others) == 1 else 'do'} (below)."
    return state, f"{_best(check)} {means}{_note(check)}", _against(check, auroc)


def _best(check: Mapping[str, Any]) -> str:
    turned = {"high": ", higher in abnormal images", "low": ", lower in abnormal images"}
    chosen = {
        "validation": "Chosen on validation images: ",
        "test": "Chosen on the test images themselves, which flatters it: ",
    }.get(check.get("chosen_on") or "", "The best: ")
    return f"{chosen}{check.get('name', 'unnamed')}{turned.get(check.get('direction') or '', '')}."


def _note(check: Mapping[str, Any]) -> str:
    return f" {check['note']}" if check.get("note") else ""


def _against(check: Mapping[str, Any], auroc: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts that add up: all of them of the images that the check looked at, unless an older record lacks them."""
    images, out = check.get("images"), check.get("left_out")
    alone, gain = ((check.get(name) or {}).get("value") for name in ("auroc", "difference"))
    looked = f"{images['normal']} normal, {images['abnormal']} abnormal" if images else ""
    if looked:
        looked += f"; {out} test images left out" if out else ", the whole test" if out == 0 else ""
    model = ("AUROC of the model on all test images", with_span(auroc))
    if alone is not None and gain is not None:
        model = ("AUROC of the model on the images looked at", number(alone + gain))
    return [
        ("AUROC of it alone", with_span(check.get("auroc"))),
        ("model minus it, paired", with_span(check.get("difference"), "signed")),
        model,
        *([("images looked at", looked)] if looked else []),
    ]


def _tried(check: Mapping[str, Any]) -> dict[str, Any] | None:
    """Everything that was tried."""
    rows = [
        [
            str(row.get("name", "")),
            "–" if row.get("validation") is None else number(row["validation"]),
            number(row.get("test")),
            signed((row.get("difference") or {}).get("value")),
        ]
        for row in check.get("all") or []
    ]
    head = ["AUROC, high as abnormal", "validation", "test", "model minus it"]
    return {"head": head, "rows": rows} if rows else None


def _overfitting(check: Mapping[str, Any]) -> Told:
    """Scores of training normals against those of validation normals."""
    low, high = ends(check.get("auroc"))
    if low is None or high is None:
        state, means = "unclear", "There is no interval here."
    elif low > 0.5:
        state, means = "bad", "Normal images that training did not see score higher: it fits its own more closely."
    elif high < 0.5:
        state, means = "bad", "Normal images that training did not see score lower: the two sets differ."
    else:
        state, means = "good", "Scores do not tell validation normals from training normals."
    facts = [("AUROC, validation above training", with_span(check.get("auroc")))]
    facts += [(f"{name} normals", str(check[name])) for name in ("training", "validation") if name in check]
    return state, f"Both should score alike, an AUROC of 0.5. {means}", facts


def _groups(check: Mapping[str, Any], known: bool) -> Told:
    """Groups of the test that are in another part too."""
    shared = check.get("shared") or {}
    names = {"train": "training", "val": "validation"}
    facts = [
        (f"shared with {names.get(split, split)}", f"{found['groups']} groups, {found['images']} test images")
        for split, found in shared.items()
    ]
    if check.get("test_groups") is not None:
        facts.append(("groups in the test", str(check["test_groups"])))
    if any(found["images"] for found in shared.values()):
        examples = ", ".join(check.get("examples") or [])
        text = "Some are: the figures of the test flatter." + (f" Such as {examples}." if examples else "")
        return "bad", text, facts
    if not known:
        return "unclear", "No group is shared, but each image counts as its own: patients are not known.", facts
    return "good", "No group (patient, study, run of near-identical frames) of the test is elsewhere.", facts


def _shared(check: Mapping[str, Any]) -> Told:
    """Images of the test among those of training or validation."""
    facts, seen, unknown = [], [], []
    for split in ("training", "validation"):
        part = check.get(split)
        if not part:
            unknown.append(split)
            continue
        how = f": {counts(part)}" if part["shared"] else ""
        facts.append((f"test images among {part['images']} of {split}", f"{part['shared']} of {check['images']}{how}"))
        if found_in(check, split):
            seen.append(split)
    if seen:
        return "bad", f"Some are images of {' and '.join(seen)} too: the figures of the test flatter.", facts
    if unknown:
        return "unclear", f"None that is known, but the images of {' and '.join(unknown)} are not.", facts
    return "good", "No file of the test, under whatever name, and no image of the same pixels was found there.", facts


def _other(check: Mapping[str, Any]) -> Told:
    """A check that this page has no words for, fact by fact."""
    facts = [(str(key).replace("_", " "), _value(value)) for key, value in check.items() if key != "text"]
    return "unclear", str(check.get("text", "")), facts


def _value(value: Any) -> str:
    """Any value of a check in words."""
    if isinstance(value, Mapping) and "value" in value:
        return with_span(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(part)}" for key, part in value.items()) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def subgroups(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Subgroups by column, in words.

    Args:
        record: ``evidence["checks"]["subgroups"]``, see :mod:`medanomaly.evidence.checks`.

    Returns:
        Records with ``column``, ``unknown`` (images) and ``rows``; a row has ``level``, ``images``, ``normal``,
        ``abnormal`` and ``figures``: value, interval, gap, its interval, and whether that excludes 0, for AUROC,
        sensitivity and specificity.
    """
    found = []
    for column in record.get("columns") or []:
        rows = []
        for level in column.get("levels") or []:
            figures = []
            for name in ("auroc", "sensitivity", "specificity"):
                style = "number" if name == "auroc" else "percent"
                figure, gap = level.get(name) or {}, (level.get("gap") or {}).get(name) or {}
                value = with_span({"value": figure.get("value")}, style)
                figures.append(
                    (value, span(figure, style), signed(gap.get("value")), span(gap, "signed"), bool(gap.get("marked")))
                )
            counts = {key: level.get(key) for key in ("level", "images", "normal", "abnormal")}
            rows.append({**counts, "figures": figures})
        found.append({"column": str(column.get("column", "")), "unknown": column.get("unknown") or 0, "rows": rows})
    return found
