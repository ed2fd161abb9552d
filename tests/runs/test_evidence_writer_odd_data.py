"""What a foreign data module or model leaves out or breaks costs what depends on it, and no test."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.small_runs import evidence_of, predictions_of, raising, test, undrawn, writer_of


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


def test_images_without_a_path_are_numbered(trained, tmp_path, monkeypatch):
    model, data, before = trained
    step = type(model).validation_step

    def nameless(self, batch, *args, **kwargs):
        batch = step(self, batch)
        batch.image_path = None
        return batch

    monkeypatch.setattr(type(model), "validation_step", nameless)
    folder = test(model, data, tmp_path)
    found = predictions_of(folder)
    assert found["path"].tolist() == [f"image {i}" for i in range(1, 19)]
    assert found["group"].nunique() == 18  # none is taken for another's
    pd.testing.assert_frame_equal(found[["abnormal", "raw_score"]], before[["abnormal", "raw_score"]])
    evidence = evidence_of(folder)
    assert evidence["image"]["auroc"]["value"] is not None
    assert evidence["image"]["groups"] == 18
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "value", "failed"),
    [
        ("skipped", property(raising(RuntimeError("broken"))), ["counts of the data"]),
        ("mask_note", property(raising(RuntimeError("broken"))), ["counts of the data"]),
        ("skipped", None, []),
        ("mask_note", None, []),
    ],
)
def test_what_a_data_module_cannot_say_costs_no_figures(name, value, failed, trained, tmp_path, monkeypatch):
    model, data, before = trained
    monkeypatch.setattr(type(data), name, value, raising=False)
    vars(data).pop(name, None)
    folder = test(model, data, tmp_path)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(predictions_of(folder), before)
    evidence = evidence_of(folder)
    assert [entry["stage"] for entry in evidence["failed"]] == failed
    assert [entry["stage"] for entry in writer_of(model).failures] == failed
    assert evidence["image"]["auroc"]["value"] is not None
    assert evidence["skipped"] == []
    assert (folder / "report.html").exists()


def test_maps_smaller_than_the_masks_are_measured_all_the_same(trained, tmp_path, monkeypatch):
    model, data, before = trained
    step = type(model).validation_step

    def small(self, batch, *args, **kwargs):
        batch = step(self, batch)
        batch.anomaly_map = batch.anomaly_map[..., ::4, ::4]
        return batch

    monkeypatch.setattr(type(model), "validation_step", small)
    folder = test(model, data, tmp_path)
    pd.testing.assert_frame_equal(predictions_of(folder), before)
    evidence = evidence_of(folder)
    assert evidence["failed"] == []
    assert evidence["pixel"]["images"] == 18
    assert evidence["pixel"]["auroc"]["value"] is not None
    assert evidence["pixel"]["dice"]["value"] is not None
