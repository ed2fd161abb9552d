"""What version 0.1.0 wrote loads, scores, decides and runs, with the same scores; see tests/fixtures/README.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medanomaly.cli import main
from medanomaly.edge import Detector
from medanomaly.evidence import predictions as tables
from medanomaly.export import export_run
from medanomaly.runs import TestedRun
from medanomaly.runs.rescore import batches

RUNS = ("plain", "adversarial", "classifier")


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("split", "file"), [("val", "validation.csv"), ("test", "predictions.csv")])
def test_runs_rescore_alike(here, name, split, file):
    written = pd.read_csv(here / name / "run" / file)
    found = np.concatenate([b.pred_score.numpy() for b in batches(TestedRun.load(here / name / "run"), split)])
    np.testing.assert_allclose(found, written["raw_score"], rtol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_bundles_give_the_recorded_scores_and_decisions(here, name):
    detector = Detector(here / name / "bundle", cache=False)
    records = [json.loads(line) for line in (here / name / "results.jsonl").read_text().splitlines()]
    assert len(records) == 20
    for record in records:
        result = detector(record["input"])
        assert result.raw_score == pytest.approx(record["raw_score"], rel=1e-5)
        assert ("abnormal" if result.abnormal else "normal") == record["decision"]
        assert result.parts == pytest.approx(record.get("parts", {}), rel=1e-4)


@pytest.mark.parametrize("name", RUNS)
def test_runs_export_through_the_gate(here, name):
    card = export_run(here / name / "run", here / "new")
    assert card["tested"]["images"] == {"validation": 18, "test": 20}
    assert card["tested"]["score_relative"] < 1e-4
    assert card["tested"]["flips"] == 0


@pytest.mark.parametrize("name", RUNS)
def test_runs_and_bundles_are_decided_anew(here, name, capsys):
    raw = pd.read_csv(here / name / "run" / "predictions.csv")["raw_score"]
    value = raw.median()
    for folder in ("run", "bundle"):
        assert main(["decide", str(here / name / folder), "--rule", f"manual:{value}"]) == 0
    again = tables.read(here / name / "run" / "predictions.csv")
    np.testing.assert_array_equal(again["raw_score"], raw)
    np.testing.assert_array_equal(again["decision"], raw.astype(np.float32) > np.float32(value))
    assert Detector(here / name / "bundle", cache=False).decider.threshold == np.float32(value)
    assert main(["report", str(here / name / "run")]) == 0
    page = (here / name / "run" / "report.html").read_text()
    assert "data:image/png;base64," in page  # pictures, drawn from the tested weights
    capsys.readouterr()


@pytest.mark.parametrize("name", RUNS)
def test_bundles_are_verified_and_infer_writes_the_recorded_lines(here, name, capsys):
    assert main(["verify", str(here / name / "bundle"), "images"]) == 0
    images = [json.loads(line)["input"] for line in (here / name / "results.jsonl").read_text().splitlines()]
    assert main(["infer", str(here / name / "bundle"), *images, "--out", "scored"]) == 0
    for old, new in zip(
        (here / name / "results.jsonl").read_text().splitlines(),
        Path("scored/results.jsonl").read_text().splitlines(),
        strict=True,
    ):
        was, now = json.loads(old), json.loads(new)
        assert now["input"] == was["input"]
        assert now["decision"] == was["decision"]
        assert now["raw_score"] == pytest.approx(was["raw_score"], rel=1e-5)
    capsys.readouterr()


def test_runs_are_compared(here, capsys):
    assert main(["compare", "plain/run", "adversarial/run"]) == 0
    assert "AUROC" in capsys.readouterr().out
