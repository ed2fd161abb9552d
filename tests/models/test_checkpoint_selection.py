"""Label-free choice of the epoch, on a model whose quality follows a script."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.data import InferenceBatch
from anomalib.engine import Engine
from anomalib.models import AnomalibModule
from lightning import Callback
from sklearn.metrics import roc_auc_score
from torch import nn

from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.decision.rules import choose_threshold
from medanomaly.evidence import predictions as tables
from medanomaly.models.checkpoint_selection import AUCp, NormalsEarlyStopping
from medanomaly.models.module import MedicalModel


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Drawing the page takes longer than these trainings."""
    monkeypatch.setattr("medanomaly.runs.evidence_files.render", lambda *args, **kwargs: "")


class Shades(MedicalDataModule):
    """Even grey images at addresses that say what they are; abnormal ones are brighter."""

    normal_only = False

    def samples(self, root):
        number = {"train": (24, 0), "val": (12, 12), "test": (6, 0 if self.normal_only else 6)}
        names = [
            f"{split}/{label}/{i}"
            for split, of in number.items()
            for label, n in zip(("normal", "bright"), of, strict=True)
            for i in range(n)
        ]
        if self.normal_only:
            names = [name for name in names if "normal" in name]
        table = pd.DataFrame([name.split("/") for name in names], columns=["split", "label", "i"])
        return table.assign(image_path=names, group=names)

    def decode(self, image_path):
        rng = np.random.default_rng([ord(c) for c in image_path])
        shade = rng.normal(0.4 + 0.1 * ("bright" in image_path), 0.05)
        return np.clip(rng.normal(shade, 0.02, (16, 16, 3)), 0, 1).astype(np.float32)


class OneClass(Shades):
    normal_only = True


class Brightness(nn.Module):
    """Score: brightness, as much as the first number says, and a part that tells nothing; the second scales both."""

    def __init__(self):
        super().__init__()
        self.turn = nn.Parameter(torch.zeros(2))

    def forward(self, image):
        level = image.mean(dim=(1, 2, 3))
        score = self.turn[1] * (1 + self.turn[0] * level + 0.5 * (1000 * level).frac())
        return InferenceBatch(pred_score=score, anomaly_map=image.mean(dim=1, keepdim=True))


class Scripted(MedicalModel, AnomalibModule):
    """Takes its parameters of each epoch from a script."""

    def __init__(self, script, seed=0):
        super().__init__()
        self.model = Brightness()
        self.script = script
        self.seen = []

    def on_train_epoch_start(self):
        with torch.no_grad():
            self.model.turn.copy_(torch.tensor(self.script[self.current_epoch]))

    def training_step(self, batch, *args, **kwargs):
        self.seen.append(batch.image_path[0])
        return (0 * self.model.turn).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


#: Weight of what tells: best in the second epoch.
SCRIPT = [(1.0, 1.0), (60.0, 1.0), (-20.0, 1.0), (3.0, 1.0)]
#: Scale of all scores: lowest in the third epoch.
FALLING = [(5.0, scale) for scale in (4.0, 2.0, 1.0, 1.5, 1.2, 1.1, 0.5)]


def frames(tmp_path, kind=Shades, **options):
    return kind(root=tmp_path, image_size=16, train_batch_size=8, **options)


def engine(tmp_path, *callbacks, epochs=4, **options):
    arguments = {"enable_progress_bar": False, "accelerator": "cpu", "logger": False, "num_sanity_val_steps": 2}
    return Engine(
        max_epochs=epochs, callbacks=list(callbacks), default_root_dir=tmp_path / "results", **arguments, **options
    )


def folder_of(run) -> Path:
    return Path(run.trainer.default_root_dir)


def scores(model, data, split):
    """Raw scores of the model as it is, and their truth."""
    dataset = data.subset(split)
    batch = dataset.__getitems__(list(range(len(dataset))))
    with torch.no_grad():
        raw = model.eval().model(batch.image.as_subclass(torch.Tensor)).pred_score.numpy()
    return raw, batch.gt_label.numpy().astype(bool)


def test_the_epoch_with_the_highest_aucp_is_tested_with_its_own_threshold(tmp_path):
    model, data, choice = Scripted(SCRIPT), frames(tmp_path), AUCp()
    run = engine(tmp_path, choice)
    run.train(model, datamodule=data)
    assert model.model.turn.tolist() == list(SCRIPT[1])
    raw, abnormal = scores(model, data, "val")
    train = scores(model, data, "train")[0]
    expected = roc_auc_score(np.arange(len(train) + len(raw)) >= len(train), np.concatenate([train, raw]))
    assert choice.rows[1]["aucp"] == pytest.approx(expected, abs=1e-9)
    assert [row["epoch"] for row in choice.rows] == [1, 2, 3, 4]
    threshold = choose_threshold("quantile", 0.95, raw[~abnormal], raw[abnormal])
    assert model.post_processor.record()["threshold"] == pytest.approx(threshold, rel=1e-5)
    folder = folder_of(run)
    predictions = tables.read(folder / "predictions.csv")
    np.testing.assert_allclose(predictions["raw_score"], scores(model, data, "test")[0], rtol=1e-5)
    assert ((predictions["raw_score"] > threshold * (1 + 1e-6)) == predictions["decision"]).all()
    # What each epoch reached, and the chosen beside the last: labels are only reported.
    table = pd.read_csv(folder / "aucp.csv")
    assert table["chosen"].tolist() == [False, True, False, False]
    assert table["train_normals"].tolist() == table["unlabelled"].tolist() == [24] * 4
    record = pd.read_csv(folder / "checkpoint_choice.csv").iloc[0]
    assert record["chosen_epoch"] == 2
    assert record["chosen_validation_auroc"] == pytest.approx(roc_auc_score(abnormal, raw))
    assert record["last_validation_auroc"] == pytest.approx(table["validation_auroc"].iloc[-1])
    assert json.loads((folder / "evidence.json").read_text())["run"]["checkpoints"][0]["chosen_epoch"] == 2
    assert torch.load(folder / "weights" / "tested.ckpt")["state_dict"]["model.turn"].tolist() == list(SCRIPT[1])


def test_training_stops_when_scores_of_normals_no_longer_fall(tmp_path):
    model, data, choice = Scripted(FALLING), frames(tmp_path, validation="normal"), NormalsEarlyStopping(patience=2)
    run = engine(tmp_path, choice, epochs=7)
    run.train(model, datamodule=data)
    assert [row["epoch"] for row in choice.rows] == [1, 2, 3, 4, 5]
    assert model.model.turn.tolist() == list(FALLING[2])
    raw = scores(model, data, "val")[0]
    assert choice.rows[2]["normals"] == pytest.approx(raw.mean(), rel=1e-5)
    assert model.post_processor.record()["threshold"] == pytest.approx(
        choose_threshold("quantile", 0.95, raw, raw[:0]), rel=1e-5
    )
    assert pd.read_csv(folder_of(run) / "normals.csv")["chosen"].tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_small_gain_is_none_and_early_epochs_are_not_chosen(tmp_path):
    choice = NormalsEarlyStopping(patience=2, min_delta=1e3)
    engine(tmp_path, choice, epochs=7).train(Scripted(FALLING), datamodule=frames(tmp_path))
    assert len(choice.rows) == 3
    assert choice.choice()["chosen_epoch"] == 1
    late = NormalsEarlyStopping(patience=1, relative=True)
    model = Scripted(FALLING)
    engine(tmp_path, late, epochs=7, min_epochs=4).train(model, datamodule=frames(tmp_path))
    assert late.choice()["chosen_epoch"] >= 4
    row = late.rows[3]
    model.model.turn.data.copy_(torch.tensor(FALLING[3]))
    (val, abnormal), (train, _) = (scores(model, frames(tmp_path), split) for split in ("val", "train"))
    assert row["normals"] == pytest.approx((val[~abnormal].mean() - train.mean()) / train.std(), rel=1e-3)


def test_looking_on_changes_nothing(tmp_path):
    seen = []
    for callbacks in ([], [AUCp(restore=False), NormalsEarlyStopping(patience=9, restore=False)]):
        model = Scripted(SCRIPT)
        run = engine(tmp_path, *callbacks)
        run.train(model, datamodule=frames(tmp_path))
        seen.append(model.seen)
        assert model.model.turn.tolist() == list(SCRIPT[-1])
    assert seen[0] == seen[1]
    choices = pd.read_csv(folder_of(run) / "checkpoint_choice.csv")
    assert choices["callback"].tolist() == ["AUCp", "NormalsEarlyStopping"]
    assert not choices["restored"].any()


@pytest.mark.parametrize("plain", [True, False])
def test_a_resumed_training_knows_the_epochs_before(tmp_path, plain):
    first = engine(tmp_path, AUCp(), epochs=3)
    first.train(Scripted(SCRIPT), datamodule=frames(tmp_path))
    path = folder_of(first) / "weights" / "lightning" / "model.ckpt"
    assert torch.load(path, weights_only=True)["state_dict"]["model.turn"].tolist() == list(SCRIPT[2])
    model, data, choice = Scripted(SCRIPT), frames(tmp_path), AUCp()
    again = engine(tmp_path, choice, epochs=4)
    if plain:  # anomalib tests the checkpoint that it resumed from
        again.train(model, datamodule=data, ckpt_path=path)
    else:  # as `medanomaly train` does
        again.fit(model, datamodule=data, ckpt_path=path)
        again.trainer.test(model, datamodule=data)
    assert [row["epoch"] for row in choice.rows] == [1, 2, 3, 4]
    assert model.model.turn.tolist() == list(SCRIPT[1])
    folder = folder_of(again)
    assert len(pd.read_csv(folder / "aucp.csv")) == 4
    np.testing.assert_allclose(
        pd.read_csv(folder / "predictions.csv")["raw_score"], scores(model, data, "test")[0], rtol=1e-5
    )


def test_another_checkpoint_is_tested_when_asked_for(tmp_path):
    run, model, data = engine(tmp_path, AUCp()), Scripted(SCRIPT), frames(tmp_path)
    run.fit(model, datamodule=data)
    run.trainer.test(model, datamodule=data, ckpt_path=folder_of(run) / "weights/lightning/model.ckpt")
    assert model.model.turn.tolist() == list(SCRIPT[3])


def test_one_class_gives_finite_values_and_no_auroc(tmp_path):
    choice, stop = AUCp(images="test"), NormalsEarlyStopping(restore=False)
    data = frames(tmp_path, OneClass)
    run = engine(tmp_path, choice, stop)
    run.train(Scripted(SCRIPT), datamodule=data)
    assert all(math.isfinite(row["aucp"]) and row["unlabelled"] == 6 for row in choice.rows)
    assert all(math.isfinite(row["normals"]) for row in stop.rows)
    assert {row["validation_auroc"] for row in choice.rows} == {None}
    json.loads((folder_of(run) / "evidence.json").read_text())


def test_unlabelled_images_are_seen_though_the_decision_uses_normals_alone(tmp_path):
    choice = AUCp()
    data = frames(tmp_path, validation="normal", synthetic_anomalies="noise:0.3")
    engine(tmp_path, choice, epochs=1).fit(Scripted(SCRIPT), datamodule=data)
    assert choice.rows[0]["unlabelled"] == 24  # 12 normal, 12 bleeding, no synthetic one
    few = AUCp(at_most=5)
    engine(tmp_path, few, epochs=1).fit(Scripted(SCRIPT), datamodule=data)
    assert few.rows[0]["unlabelled"] == few.rows[0]["train_normals"] == 5


def test_scores_that_are_not_finite_are_never_chosen(tmp_path, caplog):
    model, choice = Scripted([(1.0, 1.0), (math.nan, 1.0), (1.0, 1.0)]), AUCp()

    class Fitless(Callback):  # the operating point itself refuses NaN
        def on_train_start(self, trainer, pl_module):
            pl_module.post_processor.fit_collected = lambda module: None

    engine(tmp_path, Fitless(), choice, epochs=3).fit(model, datamodule=frames(tmp_path))
    assert [row["aucp"] is None for row in choice.rows] == [False, True, False]
    assert choice.choice()["chosen_epoch"] == 1  # of equal ones the earlier
    nothing = AUCp()
    engine(tmp_path, nothing, epochs=1, limit_val_batches=0).fit(Scripted(SCRIPT), datamodule=frames(tmp_path))
    assert "no epoch was validated" in caplog.text


def test_bad_options():
    with pytest.raises(ValueError, match="images must be val or test, not 'train'"):
        AUCp(images="train")
    with pytest.raises(ValueError, match="at_most"):
        AUCp(at_most=1)
    with pytest.raises(ValueError, match="patience"):
        NormalsEarlyStopping(patience=0)
    with pytest.raises(ValueError, match="min_delta"):
        NormalsEarlyStopping(min_delta=math.nan)


def test_what_would_choose_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="AUCp and NormalsEarlyStopping both choose"):
        engine(tmp_path, AUCp(), NormalsEarlyStopping()).fit(Scripted(SCRIPT), datamodule=frames(tmp_path))
    model = Scripted(SCRIPT)
    model.hparams["keep_best"] = True
    with pytest.raises(ValueError, match="keep_best: false"):
        engine(tmp_path, AUCp()).fit(model, datamodule=frames(tmp_path))
    with pytest.raises(ValueError, match="trainer.min_epochs"):
        engine(tmp_path, NormalsEarlyStopping(relative=True)).fit(Scripted(SCRIPT), datamodule=frames(tmp_path))
