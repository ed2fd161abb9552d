"""Change the operating point of a tested run, without training it again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from medanomaly.anomalib_compat.checkpoints import replace_post_processor
from medanomaly.decision import OperatingPoint
from medanomaly.decision.decision_function import summary
from medanomaly.decision.operating_point_log import LOG, DecideError, OperatingPointChange, read_scores, with_history
from medanomaly.decision.rules import Value
from medanomaly.evidence import predictions
from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.image_figures import image_metrics
from medanomaly.evidence.run_layout import EVIDENCE, PREDICTIONS, REPORT, VALIDATION
from medanomaly.evidence.stages import FIGURES
from medanomaly.files import together
from medanomaly.folder_lock import by_one_writer
from medanomaly.report.page import render
from medanomaly.runs.check_decisions import check_decisions
from medanomaly.runs.rescore import batches, cases_of
from medanomaly.runs.tested_run import TestedRun

#: Figures that do not depend on the operating point, unless it turns a one-sided score into a two-sided one.
_OF_RANKS = ("auroc", "average_precision", "parts")


@by_one_writer
def decide_run(
    folder: Path,
    rule: tuple[str, Value | None] | None,
    pixel_rule: tuple[str, Value | None] | None = None,
    scores: Path | None = None,
) -> OperatingPointChange:
    """Give a tested run another operating point: predictions, evidence, report and the tested weights.

    Args:
        folder: The run's folder.
        rule: Image rule and its checked value; None to keep the present one.
        pixel_rule: Likewise for pixels; reads the validation images again.
        scores: CSV of raw scores of the run's model and their truth to choose the threshold from; by default the run's
            ``validation.csv``, or where it has none the validation images, scored again.

    Returns:
        What changed; decisions are compared on the test images.

    Raises:
        RunError: if the folder holds no tested run, or one that decided otherwise than its operating point says.
        DecideError: if it has no operating point of ours, or images are needed and not there.
        OneWriterError: if another process writes into the folder.
        RuleError: if a rule cannot be applied.
    """
    run = TestedRun.load(folder)
    post, evidence = run.model.post_processor, run.evidence
    if not isinstance(post, OperatingPoint) or not evidence["operating_point"]:
        raise DecideError(f"{folder}: was not tested with a medanomaly OperatingPoint, so it has none to change.")
    check_decisions(run)
    old = evidence["operating_point"]
    known = folder / VALIDATION
    source = scores or (known if known.is_file() else None)
    _choose(run, post, rule, pixel_rule, source, given=scores is not None)
    new = {key: item for key, item in post.record().items() if key != "history"}
    again = predictions.with_decisions(run.predictions, new)
    change = OperatingPointChange(
        old=summary(old),
        new=summary(new),
        what="test images",
        total=len(again),
        changed=int((again["decision"] != run.predictions["decision"]).sum()),
        flagged=int(again["decision"].sum()),
        scores=str(source) if source else None,
    )
    if change.unchanged:
        return change
    post.history = with_history(new, old, change.date)["history"]
    figures = image_metrics(
        again, validation=predictions.with_decisions(predictions.read(known), new) if known.is_file() else None
    )
    failed = [entry for entry in evidence.get("failed") or [] if entry["stage"] != FIGURES]
    if old.get("centre") == new.get("centre") and failed == (evidence.get("failed") or []):
        figures |= {name: evidence["image"][name] for name in _OF_RANKS}
    evidence = {**evidence, "operating_point": post.record(), "image": figures, "failed": failed}
    evidence["caveats"] = caveats({key: item for key, item in evidence.items() if key != "caveats"})
    cases = cases_of(run, post, again, change.notes)
    page = render(evidence, predictions.ranking_scores(again), again["abnormal"].to_numpy(dtype=bool), cases)
    with together() as part:  # a full disk leaves the run as it was
        part(run.weights).write_bytes(_rewritten(run.weights, post))
        text = json.dumps(evidence, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        part(folder / EVIDENCE).write_text(text, encoding="utf-8", errors="backslashreplace")
        predictions.write(again, part(folder / PREDICTIONS))
        part(folder / REPORT).write_text(page, encoding="utf-8", errors="backslashreplace")
        part(folder / LOG).write_text(change.logged(folder), encoding="utf-8", errors="backslashreplace")
    return change


def _choose(
    run: TestedRun,
    post: OperatingPoint,
    rule: tuple[str, Value | None] | None,
    pixel_rule: tuple[str, Value | None] | None,
    source: Path | None,
    given: bool,
) -> None:
    """Fit the operating point anew."""
    if rule is not None:
        post.set_rule(*rule)
    if pixel_rule is not None:
        if torch.isnan(post.pixel_threshold):
            raise DecideError(f"{run.folder}: its model draws no heat map, so that there is no pixel threshold.")
        post.set_pixel_rule(*pixel_rule)
    if pixel_rule is not None or (rule is not None and source is None):
        trainer: Any = SimpleNamespace(sanity_checking=False)
        post.on_validation_epoch_start(trainer, run.model)
        for batch in batches(run, "val"):
            post.on_validation_batch_end(trainer, run.model, batch)
        post.fit_collected(run.model, images=rule is not None and source is None, pixels=pixel_rule is not None)
    if rule is None or source is None:
        return
    raw, abnormal = read_scores(source)
    if given:
        post.fit(raw, abnormal)
        return
    rows = predictions.read(source)
    names = [name for name in map(str, rows.columns) if name.startswith(predictions.PART)]
    parts = {name.removeprefix(predictions.PART): rows[name].to_numpy() for name in names}
    post.fit(raw, abnormal, rows["path"].tolist(), parts)


def _rewritten(weights: Path, post: OperatingPoint) -> memoryview:
    """A checkpoint with an operating point in place of its own; the rest is as it was."""
    checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
    replace_post_processor(checkpoint, post)
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getbuffer()
