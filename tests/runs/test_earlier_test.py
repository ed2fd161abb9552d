"""Another test in a run's folder, as plain anomalib makes it: the earlier record is moved aside whole."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from tests.small_runs import evidence_of, phantom, predictions_of, raising, test, undrawn, writer_of

from medanomaly.runs import TestedRun, first_files
from medanomaly.runs.rebuild_report import rebuild


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


def test_another_test_moves_the_earlier_record_aside(trained, tmp_path):
    model, data, before = trained
    folder = test(model, data, tmp_path / "run")
    first = {name: (folder / name).read_bytes() for name in ("evidence.json", "report.html", "validation.csv")}
    other = phantom(tmp_path, test=5, seed=3)
    test(model, other, folder)
    assert len(predictions_of(folder)) == 10
    aside = folder / "earlier-1"
    pd.testing.assert_frame_equal(predictions_of(aside), before)
    assert {name: (aside / name).read_bytes() for name in first} == first
    # Whole: it loads, and its page can be made anew.
    run = TestedRun.load(aside)
    assert run.evidence == evidence_of(aside)
    assert str(aside.parent) not in json.dumps(json.loads((aside / "run.json").read_text())["model"])
    page, _ = rebuild(aside)
    assert "<html" in page
    test(model, data, folder)
    assert len(predictions_of(folder / "earlier-2")) == 10
    pd.testing.assert_frame_equal(predictions_of(folder), before)


def test_the_same_test_again_moves_nothing(trained, tmp_path):
    model, data, before = trained
    folder = test(model, data, tmp_path / "run")
    test(model, data, folder)
    assert not list(folder.glob("earlier-*"))
    pd.testing.assert_frame_equal(predictions_of(folder), before)


def test_a_record_that_cannot_be_moved_is_named(trained, tmp_path, monkeypatch):
    model, data, before = trained
    folder = test(model, phantom(tmp_path, test=5, seed=3), tmp_path / "run")
    monkeypatch.setattr(first_files, "set_aside", raising(OSError("read-only")))
    test(model, data, folder)
    assert [entry["stage"] for entry in writer_of(model).failures] == ["record of an earlier test"]
    pd.testing.assert_frame_equal(predictions_of(folder), before)
