"""Caveats from the honesty checks of a run, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medanomaly._moved import old_names
from medanomaly.data.image_statistics import SCALED
from medanomaly.decision.caveat_record import figure, listed, made, note, warning
from medanomaly.evidence.occlusion_caveat import occlusion
from medanomaly.evidence.shared_images_caveat import shared_images
from medanomaly.metrics.formatting import number
from medanomaly.spec import Spec

__getattr__ = old_names(__name__)

#: A rival's AUROC below this is not worth a word.
_WEAK = 0.6
_NAMED = 4

_WORDS = {
    "mean": "mean grey",
    "spread": "spread of grey",
    "local contrast": "local contrast (minus the mean log of the local variance)",
    "sharpness": "sharpness (variance of the Laplacian)",
    "redness": "redness (95th percentile of log(R/G))",
    "dark corners": "share of dark corners",
    "file size": "size of the file",
}
#: Numbers that follow the device, the frame and the compression, not the disease.
_DEVICE = ("sharpness", "dark corners", "file size")
#: Rules of intensity by which a model sees what a number measures, and nothing beside it.
_INPUTS = {"redness": "haemoglobin", "local contrast": "contrast:7"}


def shortcut(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """An image statistic ranks as well as the model, or which one is to be beaten."""
    check = made(evidence, "one_number")
    if check is None:
        return None
    rivals = rivals_of(check)
    if not rivals:
        if (check["auroc"]["low"] or 0) <= _WEAK:
            return None
        if not _above(check["difference"]["low"]):  # no rival, for want of a direction: that is not yet beaten
            return note(
                f"Whether the model beats the best image statistic, {check['name']}, is open",
                f"{_rival(check)}. Validation images do not settle which way round it ranks.{_picked(check)}",
            )
        return note(
            f"The model beats the best image statistic, {check['name']}",
            f"{_rival(check)}. A gain over the model's rivals counts from there.{_picked(check)}",
        )
    names = [row["name"] for row in rivals]
    measured = {name: name.removesuffix(SCALED) for name in names}
    better = all(_below(row["difference"]["high"]) for row in rivals)
    device = [name for name in names if measured[name] in _DEVICE]
    reading = (evidence.get("data") or {}).get("reading") or {}
    remedy = ""
    if device and reading.get("field_of_view") == "none":
        remedy = (
            f" {listed(device).capitalize()} may follow the device and the frame rather than the disease: a shortcut. "
            "Cut the frame off with data.init_args.field_of_view (crop:N, circle), and compare."
        )
    given = Spec.parse(str(reading.get("intensity"))).name
    seen = [rule for name, rule in _INPUTS.items() if name in measured.values() and Spec.parse(rule).name != given]
    if seen:
        remedy += (
            f" As input to the model, what the statistic measures may serve it better than the whole image: try "
            f"data.init_args.intensity {' or '.join(seen)}, and choose by validation images."
        )
    return warning(
        f"One image statistic ranks {'better than' if better else 'as well as'} the model: {listed(names[:_NAMED])}",
        f"{'. '.join(map(_rival, rivals[:_NAMED]))}. {_others(rivals)}A model has to beat such a baseline, with the "
        f"whole interval of the difference above 0, before it can be said to see more.{remedy}{_picked(check)}",
    )


def field_of_view(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """The border and the corners alone tell the classes apart."""
    check = made(evidence, "field_of_view")
    if check is None:
        return None
    told = telling_of(check)
    if not told:
        return None
    rivals = [row for row in told if not _above(row["difference"]["low"])]
    beaten = [row["name"] for row in told if row not in rivals]
    less = f"Less well than the model {'does' if len(beaten) == 1 else 'do'} {listed(beaten)}. " if beaten else ""
    shown, rest = (rivals, less) if rivals else (told, "")
    reading = (evidence.get("data") or {}).get("reading") or {}
    advice = (
        "Cut it off with data.init_args.field_of_view (crop:N, circle), and see what remains."
        if reading.get("field_of_view") == "none"
        else "Cut off more of it, and see what remains."
    )
    text = (
        f"Of the image as the model sees it, the border (8 % of the side) and the corners alone rank the test images: "
        f"{'; '.join(map(_rival, shown[:_NAMED]))}. {_others(shown)}{rest}{check['note']} A device or a habit of "
        f"framing may give the class away there. {advice}{_picked(check)}"
    )
    if rivals:
        return warning("The border alone ranks as well as the model", text)
    return note("The border tells the classes apart, less well than the model", text)


def overfitting(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Validation normals score above, or below, training normals."""
    check = made(evidence, "overfitting")
    if check is None or check["auroc"]["low"] is None:
        return None
    if check["auroc"]["high"] < 1 - _WEAK:
        return note(
            "Validation images look more normal than training images",
            f"Normal validation images ({check['validation']}) score below normal training images "
            f"({check['training']}): an AUROC of {figure(check['auroc'])}, where 0.5 would be alike. The two splits "
            "differ, and a threshold set on validation may be too low for other images.",
        )
    if check["auroc"]["low"] <= _WEAK:
        return None
    return note(
        "The model knows its training images",
        f"Normal validation images ({check['validation']}) score above normal training images ({check['training']}): "
        f"an AUROC of {figure(check['auroc'])}, where 0.5 would be alike. The model fits its own images closer than "
        "new ones (a memory bank always does), or the two splits differ. Do not set a threshold on training scores.",
    )


def groups(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Test groups that are in another split too."""
    check = made(evidence, "groups")
    shared = {} if check is None else {name: part for name, part in check["shared"].items() if part["groups"]}
    if check is None or not shared:
        return None
    spelt = {"train": "training", "val": "validation"}
    # A bundle's card is made without: a group's name may be a patient's.
    named = f" ({', '.join(check['examples'])})" if check.get("examples") else ""
    parts = [
        f"{part['images']} test images are of {part['groups']} groups in {spelt[name]}" for name, part in shared.items()
    ]
    return warning(
        "Patients of the test were seen before",
        f"{' and '.join(parts)} too, of {check['test_groups']} groups in the test{named}. "
        "The figures flatter: split by patient.",
    )


def subgroups(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Gaps between subgroups that chance does not explain."""
    check = made(evidence, "subgroups")
    gaps = [
        (f"{column['column']} {level['level']}", level, metric, gap)
        for column in (check or {"columns": []})["columns"]
        for level in column["levels"]
        for metric, gap in level["gap"].items()
    ]
    marked = [one for one in gaps if one[3]["marked"]]
    marked = [one for one in marked if one[3]["value"] < 0] or marked
    if not marked:
        return None
    spelt = {"auroc": "AUROC"}
    told = [
        f"{name}: {spelt.get(metric, metric)} {number(level[metric]['value'])}, "
        f"{figure(gap, sign=True)} against the rest"
        for name, level, metric, gap in marked[:_NAMED]
    ]
    more = f" {len(marked) - _NAMED} more are in the table of subgroups." if len(marked) > _NAMED else ""
    return warning(
        "The model does not serve all subgroups alike",
        f"{'; '.join(told)}.{more} Intervals are widened for the number of levels compared (Bonferroni): chance "
        "does not explain these gaps. Decisions are those of the tested threshold.",
    )


#: What a reader should meet before all else: where the test's images were seen before, no figure holds.
SPLIT_CAVEATS = (shared_images, groups)
#: The others, in their order.
CHECK_CAVEATS = (shortcut, field_of_view, occlusion, subgroups, overfitting)


def _above(end: float | None) -> bool:
    return end is not None and end > 0


def _below(end: float | None) -> bool:
    return end is not None and end < 0


def rivals_of(check: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Numbers that the model is not shown to beat, best first: those whose direction validation images support."""
    found = [
        row
        for row in check["all"]
        if row.get("auroc")  # evidence of before has a name and an AUROC alone
        and row["settled"] is not False
        and row["auroc"]["value"] >= _WEAK
        and (row["auroc"]["low"] or 0) > 0.5
        and not _above(row["difference"]["low"])
    ]
    return sorted(found, key=lambda row: -row["auroc"]["value"])


def telling_of(check: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Numbers that tell the classes apart, best first: clearly above chance, in the direction of validation images."""
    found = [
        row
        for row in check["all"]
        if row.get("auroc") and row["settled"] is not False and (row["auroc"]["low"] or 0) > _WEAK
    ]
    return sorted(found, key=lambda row: -row["auroc"]["value"])


def _rival(row: Mapping[str, Any]) -> str:
    name = row["name"].removesuffix(SCALED)
    name = _WORDS.get(name, name) + (", as the intensity rule shows the image" if row["name"] != name else "")
    return (
        f"{name[:1].upper()}{name[1:]}, {row['direction']} in abnormal images, has an AUROC of "
        f"{figure(row['auroc'])}, the model minus it {figure(row['difference'], sign=True)}"
    )


def _others(rows: Sequence[Mapping[str, Any]]) -> str:
    more = [row["name"] for row in rows[_NAMED:]]
    if not more:
        return ""
    names = listed(more)
    return f"{names[:1].upper()}{names[1:]} {'does' if len(more) == 1 else 'do'} so too, less clearly. "


def _picked(check: Mapping[str, Any]) -> str:
    if check["chosen_on"] == "validation":
        return ""
    return (
        " The statistic and its direction were picked on these test images, for want of labelled abnormal validation "
        "images: that flatters it."
    )
