"""Metrics, visualizers and callbacks of others do not lose a test either."""

from __future__ import annotations

import numpy as np
import pytest
from anomalib.metrics import Evaluator
from anomalib.visualization import ImageVisualizer
from lightning import Callback, Trainer
from tests.small_runs import QUIET, evidence_of, kept_whole, named, other_evaluator, raising, test, undrawn

from medanomaly.evidence.run_caveats import FAILED
from medanomaly.models.evaluator import AUROC, default_evaluator


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


class Broken(AUROC):
    """A metric of somebody else's that breaks when it is asked, or before."""

    when = "compute"

    def update(self, batch, *args, **kwargs):
        if self.when == "update":
            raise IndexError("metric broken")
        super().update(batch, *args, **kwargs)

    def compute(self):
        if self.when == "compute":
            raise IndexError("metric broken")
        return super().compute()


@pytest.mark.parametrize("when", ["compute", "update"])
def test_a_metric_of_the_evaluator_that_breaks_is_nan(when, trained, tmp_path, capfd):
    model, data, _ = trained
    broken = Broken(fields=["pred_score", "gt_label"], prefix="other_")
    broken.when = when
    evaluator = default_evaluator()
    with other_evaluator(model, Evaluator(test_metrics=[broken, *evaluator.test_metrics])):
        folder = test(model, data, tmp_path)
    kept_whole(folder, trained)
    named(folder, model, "metric other_Broken", IndexError(), capfd.readouterr().err)
    assert FAILED in (folder / "report.html").read_text(encoding="utf-8")
    # The patches are gone: the metric is its class's again.
    with pytest.raises(IndexError):
        broken.update(None) if when == "update" else broken.compute()


def test_the_other_metrics_are_logged_beside_one_that_breaks(trained, tmp_path):

    model, data, _ = trained
    broken = Broken(fields=["pred_score", "gt_label"], prefix="other_")
    with other_evaluator(model, Evaluator(test_metrics=[broken, *default_evaluator().test_metrics])):
        (found,) = Trainer(default_root_dir=tmp_path, **QUIET).test(model, datamodule=data, verbose=False)
    assert np.isnan(found["other_Broken"])
    assert found["image_AUROC"] == pytest.approx(evidence_of(tmp_path)["image"]["auroc"]["value"], abs=1e-6)
    assert found["pixel_AUROC"] == pytest.approx(evidence_of(tmp_path)["pixel"]["auroc"]["value"], abs=1e-6)


class BrokenVisualizer(ImageVisualizer):
    """As anomalib's where it cannot read a file."""

    def on_test_batch_end(self, *args, **kwargs):
        raise OSError("cannot identify image file")


def test_pictures_of_another_visualizer_cost_the_test_nothing(trained, tmp_path, capfd):
    model, data, _ = trained
    folder = test(model, data, tmp_path, callbacks=[BrokenVisualizer()])
    kept_whole(folder, trained)
    named(folder, model, "BrokenVisualizer", OSError(), capfd.readouterr().err)


class Ending(Callback):
    """Something else that breaks at a hook of the test's end."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, raising(ZeroDivisionError("a callback broke")))


@pytest.mark.parametrize("hook", ["on_test_epoch_end", "on_test_end"])
def test_a_callback_that_ends_the_trainer_finds_the_test_kept(hook, trained, tmp_path, capfd):
    model, data, _ = trained
    with pytest.raises(ZeroDivisionError):
        test(model, data, tmp_path, callbacks=[Ending(hook)])
    kept_whole(tmp_path, trained)
    named(tmp_path, model, "another part of the test", ZeroDivisionError(), capfd.readouterr().err)
    evidence = evidence_of(tmp_path)
    assert evidence["image"]["auroc"]["value"] is not None
    assert FAILED in (tmp_path / "report.html").read_text(encoding="utf-8")
    # The next test of the same model is whole, and knows nothing of this one.
    folder = test(model, data, tmp_path)
    assert evidence_of(folder)["failed"] == []
    assert not (folder / "failures").exists()
