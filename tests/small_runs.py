"""What the tests of the evidence writer share: a tiny trained model, tested again and again in a folder of its own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from anomalib.data import InferenceBatch
from anomalib.engine import Engine
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from lightning import Trainer
from torch import nn

from medanomaly.evidence import predictions as tables
from medanomaly.models.module import MedicalModel
from medanomaly.report import charts, curves
from medanomaly.runs.evidence_writer import EvidenceWriter
from medanomaly_phantom import Phantom

QUIET: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
#: Images of each class in the test, in batches of 5: the last one is smaller.
TEST = 9


def phantom(root: Path, **options: Any) -> Phantom:
    given = {"train": 16, "val": 12, "test": TEST, "image_size": 32, "eval_batch_size": 5}
    return Phantom(root=root / "frames", **(given | options))


class RednessNet(nn.Module):
    """Scores redness on a scale of its own, far outside [0, 1]; the map is that of each pixel."""

    def __init__(self, offset: float = 100.0, times: float = 50.0) -> None:
        super().__init__()
        self.offset, self.times = offset, times
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        red = (image[:, :1] - image[:, 1:].mean(dim=1, keepdim=True)) * self.weight
        raw_map = self.offset + self.times * red
        return InferenceBatch(pred_score=raw_map.flatten(1).quantile(0.95, dim=1), anomaly_map=raw_map)


class Redness(AnomalibModule):
    """A model with anomalib's own components, and nothing of ours."""

    def __init__(self, offset: float = 100.0, times: float = 50.0, **components: Any) -> None:
        super().__init__(**components)
        self.model = RednessNet(offset, times)

    @staticmethod
    def configure_pre_processor(image_size=None):
        from anomalib.pre_processing import PreProcessor

        return PreProcessor()

    def training_step(self, batch, *args, **kwargs):
        return (self.model.weight - 1).square().sum()

    def validation_step(self, batch, *args, **kwargs):
        return batch.update(**self.model(batch.image)._asdict())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    @property
    def trainer_arguments(self):
        return {}

    @property
    def learning_type(self):
        from anomalib import LearningType

        return LearningType.ONE_CLASS


class OurRedness(MedicalModel, Redness):
    """The same as one of our plugins, made of parts."""

    def __init__(self, seed: int = 0, offset: float = 100.0, times: float = 50.0) -> None:
        super().__init__(offset=offset, times=times)


def train(model: AnomalibModule, data: Phantom, out: Path, **options: Any) -> Path:
    """Train an epoch and test; returns the run's folder."""
    engine = Engine(max_epochs=1, default_root_dir=out, **(QUIET | options))
    engine.train(model, datamodule=data)
    return Path(engine.trainer.default_root_dir)


def test(model: AnomalibModule, data: Phantom, out: Path, **options: Any) -> Path:
    """Test a trained model; returns the run's folder."""
    trainer = Trainer(default_root_dir=out, **(QUIET | options))
    trainer.test(model, datamodule=data, verbose=False)
    return out


test.__test__ = False  # type: ignore[attr-defined]


def evidence_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evidence.json").read_text(encoding="utf-8"))


def predictions_of(folder: Path) -> pd.DataFrame:
    return tables.read(folder / "predictions.csv")


def raw_scores(model: Any, data: Phantom) -> pd.DataFrame:
    """Raw scores and truth of the test images, straight from the network."""
    data.setup("test")
    batch = data.test_data.__getitems__(list(range(len(data.test_data))))
    with torch.no_grad():
        found = model.model.eval()(batch.image.as_subclass(torch.Tensor))
    return pd.DataFrame(
        {
            "path": list(batch.image_path),
            "abnormal": np.asarray(batch.gt_label, dtype=bool),
            "raw_score": found.pred_score.flatten().numpy(),
        }
    )


def undrawn(monkeypatch) -> None:
    """Charts without matplotlib's drawing, which takes longer than everything else."""
    for module in (charts, curves):
        monkeypatch.setattr(module, "inline", lambda figure, title: f"<svg><title>{title}</title></svg>")


@contextmanager
def other_evaluator(model, evaluator: Evaluator):
    """Another evaluator in the model's place for a while; monkeypatch knows no submodules."""
    own = model.evaluator
    model.evaluator, model._metric_attributes = evaluator, None
    try:
        yield
    finally:
        model.evaluator, model._metric_attributes = own, None


def raising(error: BaseException):
    def stage(*args: Any, **kwargs: Any):
        raise error

    return stage


def writer_of(model) -> EvidenceWriter:
    return model.visualizer


def kept_whole(folder: Path, trained) -> None:
    """What cannot be had again is there and right."""
    model, data, before = trained
    pd.testing.assert_frame_equal(predictions_of(folder), before)
    expected = raw_scores(model, data)
    found = predictions_of(folder)
    np.testing.assert_allclose(found["raw_score"], expected["raw_score"], rtol=1e-6)
    assert found["path"].tolist() == expected["path"].tolist()
    validation = pd.read_csv(folder / "validation.csv")
    assert len(validation) == 24
    assert validation["raw_score"].min() > 100
    state = torch.load(folder / "weights" / "tested.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(state["model.weight"], model.model.weight)
    assert set(pd.read_csv(folder / "split.csv")["split"]) == {"train", "val", "test"}
    assert json.loads((folder / "run.json").read_text())["model"]["weights"] == "weights/tested.ckpt"
    assert not list(folder.rglob("*.part"))


def named(folder: Path, model, stage: str, error: BaseException, err: str) -> None:
    """The failure is in evidence, traceback, console, and what the exit status looks at."""
    failed = {entry["stage"]: entry for entry in evidence_of(folder)["failed"]}
    assert set(failed) == {stage}
    assert type(error).__name__ in failed[stage]["error"]
    text = (folder / failed[stage]["traceback"]).read_text(encoding="utf-8")
    assert "Traceback" in text
    assert type(error).__name__ in text
    assert writer_of(model).failures == list(failed.values())
    (line,) = [line for line in err.splitlines() if line.startswith("medanomaly: ")]
    assert stage in line
