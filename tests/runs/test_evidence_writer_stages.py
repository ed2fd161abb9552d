"""No failure after a test loses the test: each stage raises in turn."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.metrics import Evaluator
from sklearn.metrics import roc_auc_score
from tests.report_parts import Page
from tests.small_runs import (
    evidence_of,
    kept_whole,
    named,
    other_evaluator,
    predictions_of,
    raising,
    raw_scores,
    test,
    undrawn,
    writer_of,
)

from medanomaly import files
from medanomaly.data.table import TableError
from medanomaly.evidence import predictions
from medanomaly.evidence.checks.run_checks import CHECKS
from medanomaly.evidence.pixel_figures import PixelFigures
from medanomaly.evidence.run_caveats import FAILED
from medanomaly.metrics.pixels import PixelCurves
from medanomaly.report import charts, curves
from medanomaly.report import page as report
from medanomaly.report.gallery import Gallery
from medanomaly.runs import evidence_files, evidence_writer, first_files, run_record
from medanomaly.runs.decide_run import decide_run
from medanomaly.runs.evidence_writer import EvidenceWriter
from medanomaly.runs.rebuild_report import rebuild
from medanomaly.training.command_line import run as command

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


#: Stage, what is made to raise, and whether the report is there all the same.
STAGES: list[tuple[str, Any, str]] = [
    ("image figures", evidence_writer, "image_metrics"),
    ("pixel figures", PixelFigures, "figures"),
    ("pixel figures", PixelCurves, "update"),
    ("pictures", Gallery, "offer"),
    ("pictures", Gallery, "shown"),
    ("pictures", report, "galleries"),
    ("checks", evidence_writer, "run_checks"),
    ("caveats", evidence_writer, "caveats"),
    ("chart histogram", charts, "score_histogram"),
    ("chart roc", curves, "roc"),
    ("chart precision recall", curves, "precision_recall"),
    ("chart calibration", curves, "calibration"),
    ("chart froc", curves, "froc"),
    ("page", evidence_files, "render"),
    ("page", report, "filled"),
    ("operating point", predictions, "extra"),
    ("validation decisions", predictions, "with_decisions"),
    ("options of the run", run_record, "run_section"),
    ("counts of the data", run_record, "digest"),
    ("log", EvidenceWriter, "_log"),
]


@pytest.mark.parametrize(("stage", "owner", "name"), STAGES, ids=[f"{stage}-{name}" for stage, _, name in STAGES])
def test_a_stage_that_raises_costs_nothing_but_itself(stage, owner, name, trained, tmp_path, monkeypatch, capfd):
    model, data, _ = trained
    error = {"render": MemoryError(), "filled": FULL}.get(name, RuntimeError(f"broken: {name}"))
    monkeypatch.setattr(owner, name, raising(error))
    folder = test(model, data, tmp_path)
    kept_whole(folder, trained)
    named(folder, model, stage, error, capfd.readouterr().err)
    evidence = evidence_of(folder)
    assert evidence["caveats"][0]["title"] == FAILED
    assert (folder / "report.html").exists() == (stage != "page")
    if stage != "page":
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        assert not page.open
        assert FAILED in page.text.split("Figures")[1]
        assert f"failures/{stage.replace(' ', '_')}.txt" in page.text
    if stage not in ("image figures", "operating point"):
        assert evidence["image"]["auroc"]["value"] is not None
    else:
        assert evidence["image"]["auroc"]["value"] is evidence["image"]["confusion"] is None
        assert "failed" in evidence["image"]["auroc"]["reason"]
    assert (evidence["pixel"]["auroc"]["value"] is None) == (stage == "pixel figures")


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_breaks_is_named_and_the_others_are_made(name, trained, tmp_path, monkeypatch, capfd):
    model, data, _ = trained
    monkeypatch.setitem(CHECKS, name, raising(KeyError(name)))
    folder = test(model, data, tmp_path)
    kept_whole(folder, trained)
    named(folder, model, f"check {name.replace('_', ' ')}", KeyError(), capfd.readouterr().err)
    assert set(evidence_of(folder)["checks"]) == set(CHECKS)


#: Files that cannot be had again: each fails to be written, and the others are there.
FIRST = {
    "predictions": (first_files, "_predictions", "predictions.csv"),
    "validation scores": (first_files, "_validation", "validation.csv"),
    "weights": (torch, "save", "weights/tested.ckpt"),
    "split": (run_record, "split", "split.csv"),
    "run record": (run_record, "run_json", "run.json"),
}


@pytest.mark.parametrize("stage", FIRST)
def test_files_that_cannot_be_written_cost_no_other(stage, trained, tmp_path, monkeypatch, capfd):
    model, data, before = trained
    owner, name, lost = FIRST[stage]
    (tmp_path / lost).parent.mkdir(exist_ok=True)
    (tmp_path / lost).write_text("of an earlier test")
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, raising(FULL))
        folder = test(model, data, tmp_path)
    assert [entry["stage"] for entry in writer_of(model).failures] == [stage]
    assert stage in capfd.readouterr().err
    for _, _, file in FIRST.values():
        assert (folder / file).exists() == (file != lost), file
    if stage != "predictions":
        pd.testing.assert_frame_equal(predictions_of(folder), before)
        assert (folder / "report.html").exists()
        assert evidence_of(folder)["image"]["auroc"]["value"] is not None


def test_a_disk_that_fills_after_the_predictions_leaves_them_whole(trained, tmp_path, monkeypatch, capfd):
    model, data, before = trained
    monkeypatch.setattr(Path, "write_text", raising(FULL))  # tracebacks
    monkeypatch.setattr(files, "write_whole", raising(FULL))  # run record, evidence and page
    folder = test(model, data, tmp_path)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(predictions_of(folder), before)
    assert torch.load(folder / "weights" / "tested.ckpt", weights_only=True)["state_dict"]
    assert not list(folder.rglob("*.part"))
    failed = writer_of(model).failures
    assert {"run record", "evidence.json", "page"} <= {entry["stage"] for entry in failed}
    assert all(entry["traceback"] is None for entry in failed)
    assert "No space left" in capfd.readouterr().err


def test_names_of_the_sample_table_are_left_out_where_they_cannot_be_joined(trained, tmp_path, monkeypatch):
    model, data, _ = trained
    joined = predictions.with_labels
    monkeypatch.setattr(
        predictions, "with_labels", lambda rows, table: joined(rows, None) if table is None else raising(ValueError())()
    )
    folder = test(model, data, tmp_path)
    assert [entry["stage"] for entry in evidence_of(folder)["failed"]] == ["labels and groups"]
    found = predictions_of(folder)
    assert set(found["label"]) == {"normal", "abnormal"}
    np.testing.assert_allclose(found["raw_score"], raw_scores(model, data)["raw_score"], rtol=1e-6)


def test_a_figure_that_json_does_not_know_is_undefined_and_named(trained, tmp_path, monkeypatch):
    model, data, _ = trained
    made = evidence_writer.image_metrics

    def with_nan(*args, **kwargs):
        return made(*args, **kwargs) | {"f1": {"value": float("nan"), "low": None, "high": None, "interval": ""}}

    monkeypatch.setattr(evidence_writer, "image_metrics", with_nan)
    folder = test(model, data, tmp_path)
    evidence = evidence_of(folder)
    assert [entry["stage"] for entry in evidence["failed"]] == ["evidence.json"]
    assert evidence["image"]["f1"]["value"] is None
    assert evidence["image"]["auroc"]["value"] is not None
    assert (folder / "report.html").exists()


def test_a_table_of_findings_that_is_none_costs_no_other(trained, tmp_path):
    model, data, _ = trained
    model._findings = {"bad": 3, "good": [{"epoch": 1}]}
    try:
        folder = test(model, data, tmp_path)
    finally:
        model._findings = {}
    assert [entry["stage"] for entry in evidence_of(folder)["failed"]] == ["table bad"]
    assert (folder / "good.csv").exists()


@pytest.mark.parametrize(("owner", "name"), [(evidence_writer, "image_metrics"), (evidence_files, "render")])
def test_an_interruption_is_none_of_these(owner, name, trained, tmp_path, monkeypatch):
    """Control-C ends the command, and what was kept is there."""
    model, data, _ = trained
    monkeypatch.setattr(owner, name, raising(KeyboardInterrupt()))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        test(model, data, tmp_path)
    kept_whole(tmp_path, trained)
    assert writer_of(model).failures == []
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_no_numbers_are_written_and_figures_undefined(bad, trained, tmp_path, monkeypatch, capfd):
    model, data, before = trained
    forward = model.model.forward

    def broken(image):
        found = forward(image)
        found.pred_score[0] = bad  # of the first image of each batch
        return found

    monkeypatch.setattr(model.model, "forward", broken)
    folder = test(model, data, tmp_path)
    found = predictions_of(folder)
    assert (~np.isfinite(found["raw_score"])).sum() == 4
    rest = np.isfinite(found["raw_score"])
    pd.testing.assert_frame_equal(found[rest], before[rest], check_dtype=False)
    assert "image figures" in capfd.readouterr().err
    evidence = evidence_of(folder)
    assert [entry["stage"] for entry in evidence["failed"]] == ["image figures"]
    assert evidence["image"]["auroc"]["value"] is evidence["image"]["sensitivity"]["value"] is None
    assert "NaN or infinite" in evidence["image"]["auroc"]["reason"]
    assert evidence["pixel"]["auroc"]["value"] is not None
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "4 images have a NaN or infinite score" in page.text
    # No image is named where the record reaches a bundle's card.
    assert "test-" not in json.dumps([evidence["image"], evidence["caveats"], evidence["checks"]])


def test_maps_that_are_no_numbers_cost_the_pixel_figures_alone(trained, tmp_path, monkeypatch):
    model, data, before = trained
    forward = model.model.forward

    def broken(image):
        found = forward(image)
        found.anomaly_map[0, 0, 3, 3] = float("nan")
        return found

    monkeypatch.setattr(model.model, "forward", broken)
    folder = test(model, data, tmp_path)
    pd.testing.assert_frame_equal(predictions_of(folder)["raw_score"].to_frame(), before["raw_score"].to_frame())
    evidence = evidence_of(folder)
    assert [entry["stage"] for entry in evidence["failed"]] == ["pixel figures"]
    assert "NaN" in evidence["pixel"]["aupro"]["reason"]
    assert evidence["image"]["auroc"]["value"] is not None


def test_an_image_without_a_label_is_an_error_of_the_data_and_no_stage(trained, tmp_path, monkeypatch):
    model, data, _ = trained
    step = type(model).validation_step

    def unlabelled(self, batch, *args, **kwargs):
        batch = step(self, batch)
        batch.gt_label = None
        return batch

    monkeypatch.setattr(type(model), "validation_step", unlabelled)
    with other_evaluator(model, Evaluator()), pytest.raises(TableError, match="has a label"):
        test(model, data, tmp_path)
    assert not (tmp_path / "predictions.csv").exists()


def test_what_no_stage_expects_leaves_what_was_kept(trained, tmp_path, monkeypatch, capfd):
    model, data, _ = trained
    monkeypatch.setattr(run_record, "names", raising(RuntimeError("unforeseen")))
    folder = test(model, data, tmp_path)
    assert {entry["stage"] for entry in writer_of(model).failures} == {"run record", "evaluation"}
    assert "unforeseen" in capfd.readouterr().err
    pd.testing.assert_frame_equal(predictions_of(folder), trained[2])


def test_a_run_with_failures_is_rebuilt_and_stands_beside_others(trained, tmp_path, monkeypatch):
    from medanomaly.commands.report import side_by_side

    model, data, _ = trained
    good = test(model, data, tmp_path / "good")
    with monkeypatch.context() as patched:
        patched.setattr(evidence_writer, "image_metrics", raising(RuntimeError("broken")))
        patched.setattr(PixelFigures, "figures", raising(RuntimeError("broken")))
        bad = test(model, data, tmp_path / "bad")
    page, _ = rebuild(bad)
    assert FAILED in Page(page).text
    assert "None" not in Page(page).text.replace("none set", "")
    both = Page(side_by_side([good, bad], tmp_path / "both.html"))
    assert FAILED in both.text
    value = evidence_of(good)["image"]["auroc"]["value"]
    found = predictions_of(bad)
    assert value == pytest.approx(roc_auc_score(found["abnormal"], found["raw_score"]))


def options(work: Path) -> list[str]:
    return [
        "train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
        "--data", "Phantom", "--data.init_args.root", str(work / "frames"), "--data.init_args.image_size", "16",
        "--data.init_args.train", "24", "--data.init_args.val", "8", "--data.init_args.test", "8",
        "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
        "--default_root_dir", str(work / "results"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "broken", [(evidence_files, "render"), (evidence_writer, "image_metrics")], ids=["page", "figures"]
)
def test_the_command_ends_with_status_1_and_one_line(broken, tmp_path, monkeypatch, capfd):
    with monkeypatch.context() as patched:
        patched.setattr(*broken, raising(ValueError("the logit scale needs a metric in [0, 1]")))
        assert command(options(tmp_path)) == 1
    err = capfd.readouterr().err
    lines = [line for line in err.splitlines() if "the logit scale" in line]
    assert len(lines) == 1
    assert "Traceback (most" not in err
    folder = (tmp_path / "results" / "Autoencoder" / "Phantom" / "latest").resolve()
    found = predictions_of(folder)
    assert len(found) == 16
    assert (folder / "weights" / "tested.ckpt").is_file()
    assert str(folder / "failures") in lines[0]
    if broken[1] == "image_metrics":  # another operating point makes the figures that failed
        decide_run(folder, ("quantile", 0.5))
        evidence = evidence_of(folder)
        value = roc_auc_score(found["abnormal"], found["raw_score"])
        assert evidence["image"]["auroc"]["value"] == pytest.approx(value, abs=1e-12)
        assert evidence["failed"] == []
        assert FAILED not in [caveat["title"] for caveat in evidence["caveats"]]
