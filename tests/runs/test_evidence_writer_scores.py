"""Under the name raw_score stands what the model gave, whatever post-processor follows it; or the name is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.post_processing import PostProcessor
from anomalib.visualization import ImageVisualizer
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.report_parts import Page
from tests.small_runs import Redness, evidence_of, phantom, predictions_of, raw_scores, test, train, undrawn
from torch import nn

from medanomaly.decision import OperatingPoint
from medanomaly.evidence.compare import CompareError, compare
from medanomaly.runs import TestedRun
from medanomaly.runs.evidence_writer import EvidenceWriter


class Halved(PostProcessor):
    """Scores changed in place, as some do."""

    def post_process_batch(self, batch):
        batch.pred_label = batch.pred_score > 120
        batch.pred_score.sub_(110).clamp_(0, 10).div_(10)
        batch.anomaly_map.sub_(110).clamp_(0, 10).div_(10)


class Beside(nn.Module):
    """A post-processor that no trainer calls, for it is no callback."""

    def forward(self, predictions):
        return predictions._replace(pred_score=predictions.pred_score.clamp(0, 1))


class InItsStep(Redness):
    """Its test goes through ``forward``, post-processor and all, which anomalib then applies once more."""

    def test_step(self, batch, *args, **kwargs):
        return batch.update(**self(batch.image)._asdict())


class Column(Redness):
    """Scores (B, 1), as some of anomalib's own."""

    def test_step(self, batch, *args, **kwargs):
        self.validation_step(batch)
        batch.pred_score = batch.pred_score[:, None]
        return batch


def model_with(post: Any, cls: type = Redness, **options: Any):
    options = {"visualizer": EvidenceWriter()} | options
    return cls(post_processor=post, **options)


MODELS: dict[str, Any] = {
    "anomalib's": lambda: model_with(True),
    "no evaluator": lambda: model_with(True, evaluator=False),
    "no normalisation": lambda: model_with(PostProcessor(enable_normalization=False)),
    "no threshold": lambda: model_with(PostProcessor(enable_thresholding=False)),
    "neither": lambda: model_with(PostProcessor(enable_normalization=False, enable_thresholding=False)),
    "none": lambda: model_with(False),
    "a subclass": lambda: model_with(Halved()),
    "no callback": lambda: model_with(Beside()),
    "in its step": lambda: model_with(True, InItsStep),
    "a column": lambda: model_with(True, Column),
    "negative": lambda: model_with(True, offset=-3.0),
    "tiny": lambda: model_with(True, offset=1e-4, times=1e-6),
    "ours": lambda: model_with(OperatingPoint()),
    "ours, a column": lambda: model_with(OperatingPoint(), Column),
}
#: Of these, those that are tried beside anomalib's visualizer too.
BESIDE = ("anomalib's", "none", "in its step", "ours")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("frames"), validation="normal")


@pytest.mark.parametrize(("kind", "beside"), [(kind, False) for kind in MODELS] + [(kind, True) for kind in BESIDE])
def test_raw_scores_are_the_model_s_and_figures_those_of_scikit_learn(kind, beside, data, tmp_path):
    """As the model's visualizer, and as a callback beside the visualizer that anomalib gives it."""
    model = MODELS[kind]()
    callbacks = []
    if beside:
        model.visualizer, callbacks = ImageVisualizer(), [EvidenceWriter()]
    folder = train(model, data, tmp_path, callbacks=callbacks)
    expected, found, evidence = raw_scores(model, data), predictions_of(folder), evidence_of(folder)
    assert found["path"].tolist() == expected["path"].tolist()
    np.testing.assert_allclose(found["raw_score"], expected["raw_score"], rtol=1e-6)
    assert evidence["failed"] == []
    truth, raw = expected["abnormal"], expected["raw_score"]
    assert len(raw.unique()) > 15  # nothing is tied that was not
    assert evidence["image"]["auroc"]["value"] == pytest.approx(roc_auc_score(truth, raw), abs=1e-12)
    assert evidence["image"]["average_precision"]["value"] == pytest.approx(
        average_precision_score(truth, raw), abs=1e-12
    )
    assert evidence["pixel"]["auroc"]["value"] == pytest.approx(pixel_auroc(model, data), abs=2e-3)
    assert evidence["unranked"] is None
    assert "score" not in found or found["score"].between(0, 1).all()
    decides = kind not in ("no threshold", "neither", "none", "no callback")
    assert ("decision" in found) == decides
    assert (evidence["image"]["confusion"] is not None) == decides
    # Checks score as the test did: none of them says that the model gives other scores.
    assert "other scores" not in json.dumps(evidence["checks"])
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    if beside:
        assert list(folder.rglob("images/**/*.png"))


def pixel_auroc(model, data) -> float:
    data.setup("test")
    batch = data.test_data.__getitems__(list(range(len(data.test_data))))
    with torch.no_grad():
        maps = model.model(batch.image.as_subclass(torch.Tensor)).anomaly_map
    return float(roc_auc_score(batch.gt_mask.numpy().ravel().astype(bool), maps.numpy().ravel()))


def test_validation_scores_are_raw_too(data, tmp_path):
    model = model_with(OperatingPoint(), Column)
    folder = train(model, data, tmp_path)
    validation = pd.read_csv(folder / "validation.csv")
    subset = data.val_data
    with torch.no_grad():
        raw = model.model(subset.__getitems__(list(range(len(subset)))).image.as_subclass(torch.Tensor)).pred_score
    np.testing.assert_allclose(validation["raw_score"], raw.numpy(), rtol=1e-6)
    assert validation["path"].tolist() == subset.paths


class Twice(Redness):
    """It averages what its post-processor makes of two views: no score is the model's own."""

    def test_step(self, batch, *args, **kwargs):
        views = [self(batch.image), self(batch.image.flip(-1))]
        return batch.update(pred_score=sum(view.pred_score for view in views) / 2, anomaly_map=views[0].anomaly_map)


class Silent(Redness):
    """It decides and gives no score."""

    def test_step(self, batch, *args, **kwargs):
        batch.pred_label = batch.image.flatten(1).amax(dim=1) > 0.9
        return batch


class Unseen(EvidenceWriter):
    """One that takes no place before the post-processor."""

    def setup(self, trainer, pl_module, stage):
        super().setup(trainer, pl_module, stage)
        trainer.callbacks = [one for one in trainer.callbacks if one is not self._first]

    def on_test_epoch_end(self, trainer, pl_module):
        self._keep(trainer, pl_module)
        super().on_test_epoch_end(trainer, pl_module)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: model_with(True, Twice), "several times"),
        (lambda: model_with(True, Silent, evaluator=False), "gives no score"),
        (lambda: model_with(True, visualizer=Unseen()), "were not kept"),
    ],
    ids=["several times", "no score", "not kept"],
)
def test_where_raw_scores_cannot_be_had_their_name_and_ranks_are_refused(model, reason, data, tmp_path):
    folder = train(model(), data, tmp_path)
    found, evidence = predictions_of(folder), evidence_of(folder)
    assert "raw_score" not in found
    assert evidence["failed"] == []
    assert "decision" in found
    for name in ("auroc", "partial_auroc", "average_precision"):
        assert evidence["image"][name]["value"] is None
        assert reason in evidence["image"][name]["reason"]
    assert evidence["image"]["calibration"] is None
    assert evidence["image"]["sensitivity"]["value"] is not None
    if evidence["pixel"]:
        assert evidence["pixel"]["auroc"]["value"] is evidence["pixel"]["aupro"]["value"] is None
    assert evidence["caveats"][0] == evidence["caveats"][0] | {
        "severity": "warning",
        "title": "Raw scores are not known",
    }
    assert evidence["checks"]["one_number"] == {"reason": "raw scores are not known"}
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert "Raw scores are not known" in page.text
    assert "ROC curve: undefined" in page.text
    # The readers of a run say so as well.
    assert np.isnan(TestedRun.load(folder).scores).any() == ("score" not in found)
    with pytest.raises(CompareError, match="raw scores of this run are not known"):
        compare([folder, folder])


def test_a_test_after_another_in_one_folder_leaves_nothing_of_it(data, tmp_path):
    ours = model_with(OperatingPoint())
    train(ours, data, tmp_path / "train")
    test(ours, data, tmp_path / "run")
    assert (tmp_path / "run" / "validation.csv").exists()
    other = model_with(True)
    train(other, data, tmp_path / "train")
    test(other, data, tmp_path / "run")
    assert not (tmp_path / "run" / "validation.csv").exists()
    assert evidence_of(tmp_path / "run")["operating_point"] is None
