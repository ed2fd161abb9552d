"""Change the operating point of a bundle: in its card, and in the constants by which its graph decides."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.decision.decision_function import DecisionFunction, record, summary
from medanomaly.decision.operating_point_caveats import of_operating_point
from medanomaly.decision.operating_point_log import LOG, DecideError, OperatingPointChange, read_scores, with_history
from medanomaly.decision.rules import RULES, Value, choose_scale, fit, question
from medanomaly.edge.bundle import CARD, GRAPH, Bundle
from medanomaly.edge.bundle_graph import seal, set_point
from medanomaly.edge.detector import core
from medanomaly.files import sha256, together
from medanomaly.folder_lock import by_one_writer

#: Figures of the test that belong to one operating point.
_OF_POINT = ("sensitivity", "specificity", "precision", "f1")
#: Those that belong to what is ranked: raw scores, or a two-sided rule's distances.
_OF_RANKS = ("auroc", "average_precision")


@by_one_writer
def decide_bundle(
    folder: Path,
    rule: tuple[str, Value | None] | None,
    pixel_rule: tuple[str, Value | None] | None = None,
    scores: Path | None = None,
) -> OperatingPointChange:
    """Give a bundle another operating point.

    Args:
        folder: The bundle.
        rule: Image rule and its checked value; None to keep the present one.
        pixel_rule: Likewise for pixels; ``manual`` alone, because a bundle has no validation pixels.
        scores: CSV of raw scores of the bundle's model and their truth; by default those of the validation images, if
            the bundle has them.

    Returns:
        What changed; decisions are compared on the scores.

    Raises:
        BundleError: if the bundle cannot be used.
        DecideError: if scores are needed and missing, or a pixel rule cannot be applied.
        OneWriterError: if another process writes into the folder.
        RuleError: if the rule cannot be applied to the scores.
    """
    card = copy.deepcopy(Bundle.open(folder).card)
    old = card["operating_point"]
    source = scores or _stored(folder, card)
    raw, abnormal = read_scores(source) if source else (np.zeros(0, np.float32), np.zeros(0, bool))
    new = {key: item for key, item in old.items() if key != "history"}
    if rule is not None:
        if source is None and (RULES[rule[0]].needs_normal or RULES[rule[0]].needs_abnormal):
            raise DecideError(f"{folder}: has no validation scores. Name some with --scores, or use the rule manual.")
        chosen = fit(*rule, raw, abnormal)
        fitted_on = {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())}
        new = {**record(*rule, chosen, raw[~abnormal], fitted_on), "pixel": old["pixel"]}
    if pixel_rule is not None:
        new["pixel"] = _pixel(folder, old["pixel"], *pixel_rule)
    was, now = DecisionFunction.of(old).abnormal(raw), DecisionFunction.of(new).abnormal(raw)
    change = OperatingPointChange(
        old=summary(old),
        new=summary(new),
        what="scores",
        total=len(raw),
        changed=int((was != now).sum()),
        flagged=int(now.sum()),
        scores=str(source) if source else None,
        notes=["The card's figures at the operating point were of the old one and are left out of it now."]
        if rule is not None
        else [],
    )
    if change.unchanged:
        return change
    before = _evidence(card)
    if rule is not None:
        _forget_figures(card["results"]["image"], ranks=old.get("centre") != new.get("centre"))
    card["operating_point"] = with_history(new, old, change.date)
    kept = [caveat for caveat in card["caveats"] if caveat not in of_operating_point(before)]
    card["caveats"] = sorted(
        of_operating_point(_evidence(card)) + kept, key=lambda caveat: caveat["severity"] != "warning"
    )
    graph = core().read_model(folder / GRAPH)
    if set_point(graph, card["operating_point"]):
        seal(graph, folder, card, {LOG: change.logged(folder)})
        return change
    with together() as part:  # layout 2 and before: the graph gives raw scores, and stays
        text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        part(folder / CARD).write_text(text, encoding="utf-8")
        part(folder / LOG).write_text(change.logged(folder), encoding="utf-8", errors="backslashreplace")
    return change


def _stored(folder: Path, card: dict[str, Any]) -> Path | None:
    """The bundle's own scores, checked."""
    known = card.get("validation")
    if not known or not (folder / known["file"]).is_file():
        return None
    path = folder / known["file"]
    if sha256(path) != known["sha256"]:
        raise DecideError(f"{path}: was altered since the export (its SHA-256 differs). Use it with --scores.")
    return path


def _pixel(folder: Path, old: dict[str, Any] | None, rule: str, value: Value | None) -> dict[str, Any]:
    if old is None:
        raise DecideError(f"{folder}: its model draws no heat map, so that there is no pixel threshold.")
    if rule != "manual" or not isinstance(value, float):
        raise DecideError(
            f"Pixel rule '{rule}' needs the validation images. Use `medanomaly decide` on the run and export it again, "
            "or the pixel rule manual."
        )
    threshold = float(np.float32(value))
    scale = choose_scale(threshold, np.zeros(0))
    text = question(rule, value).replace("image", "pixel")
    return {"rule": rule, "value": value, "question": text, "threshold": threshold, "scale": scale}


def _forget_figures(image: dict[str, Any], ranks: bool) -> None:
    """Take out what belongs to the old operating point; with ``ranks``, also the figures of a one-sided score."""
    reason = "the operating point was changed where the test images are not; decide on the run and export it again"
    for name in (*_OF_POINT, *(_OF_RANKS if ranks else ())):
        image[name] = {"value": None, "low": None, "high": None, "interval": "", "reason": reason}
    image["confusion"] = None


def _evidence(card: dict[str, Any]) -> dict[str, Any]:
    """As much of a run's evidence as its caveats about the operating point look at."""
    return {"operating_point": card["operating_point"], "image": card["results"]["image"]}
