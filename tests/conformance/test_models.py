"""What every model plugin must do, whoever wrote it."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch
from anomalib.data import InferenceBatch
from anomalib.engine import Engine
from anomalib.models import AnomalibModule
from lightning import Callback

import medanomaly.data as data
from medanomaly import seeds
from medanomaly.edge.detector import core
from medanomaly.models.module import MedicalModel
from medanomaly.registry import get, plugins
from medanomaly.training.parse_errors import options_of

MODELS = sorted(plugins("model"))
RNG = np.random.default_rng(0)


@pytest.fixture(params=MODELS)
def model(request):
    return get("model", request.param)().eval()


def images(number: int, size: int) -> torch.Tensor:
    return torch.from_numpy(RNG.random((number, 3, size, size), dtype=np.float32))


def test_is_a_direct_subclass_with_the_mixin(model):
    assert type(model) in AnomalibModule.__subclasses__()
    assert isinstance(model, MedicalModel)


def test_evaluation_gives_a_raw_score_and_a_map_for_each_image(model):
    with torch.no_grad():
        out = model.model(images(3, 64))
    assert isinstance(out, InferenceBatch)
    assert out.pred_score.shape == (3,)
    assert out.anomaly_map.shape == (3, 1, 64, 64)


@pytest.mark.parametrize("size", [28, 50, 64])
def test_scores_are_finite_on_black_white_and_noise(model, size):
    with torch.no_grad():
        out = model.model(torch.cat([torch.zeros(1, 3, size, size), torch.ones(1, 3, size, size), images(1, size)]))
    assert torch.isfinite(out.pred_score).all()
    assert torch.isfinite(out.anomaly_map).all()


def test_a_score_does_not_depend_on_the_rest_of_the_batch(model):
    batch = images(4, 64)
    with torch.no_grad():
        together = model.model(batch).pred_score
        alone = torch.cat([model.model(image[None]).pred_score for image in batch])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-8)


def seeded(plugin: type, seed: int):
    """A plugin's model of a seed: by its option, or where it has none by the run's, as ``--seed`` gives it."""
    with seeds.own_run():
        seeds.set_run_seed(seed)
        torch.manual_seed(seed)
        return plugin(**({"seed": seed} if "seed" in options_of(plugin) else {})).eval()


def test_seeds_repeat_whatever_was_drawn_before(model):
    model = seeded(type(model), 0)
    torch.rand(7)
    again, other = seeded(type(model), 0), seeded(type(model), 1)
    batch = images(2, 64)
    with torch.no_grad():
        assert torch.equal(model.model(batch).pred_score, again.model(batch).pred_score)
        assert not torch.equal(model.model(batch).pred_score, other.model(batch).pred_score)


def test_openvino_equals_torch(model, tmp_path):
    model.post_processor = None
    graph = ov.convert_model(model.to_onnx(tmp_path, input_size=(48, 48)))
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    batch = images(8, 48)
    with torch.no_grad():
        expected = model.model(batch)
    out = compiled(batch.numpy())
    np.testing.assert_allclose(out["pred_score"], expected.pred_score, rtol=1e-4)
    np.testing.assert_allclose(out["anomaly_map"], expected.anomaly_map, rtol=1e-3, atol=1e-6)


@pytest.mark.real
def test_openvino_equals_torch_on_real_frames(model, tmp_path, real_data):
    module = data.WirelessCapsule(root=real_data / "wce_bleeding", image_size=64)
    module.setup()
    batch = module.val_data.__getitems__(list(range(0, 497, 10))).image.as_subclass(torch.Tensor)
    model.post_processor = None
    graph = ov.convert_model(model.to_onnx(tmp_path, input_size=(64, 64)))
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        expected = model.model(batch).pred_score
    np.testing.assert_allclose(compiled(batch.numpy())["pred_score"], expected, rtol=1e-4)


def test_learns_a_tiny_set_and_reloads(model, tmp_path):
    """``train_loss`` falls to less than half, and the checkpoint gives the same scores in a new object."""
    losses = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            losses.append(float(trainer.callback_metrics["train_loss"]))

    labelled = {"training": "labelled", "train_bleeding": 4} if getattr(model, "supervised", False) else {}
    module = data.Phantom(root=tmp_path, train=8, val=4, test=4, image_size=32, train_batch_size=4, **labelled)
    engine = Engine(
        max_epochs=25, callbacks=[Watch()], default_root_dir=tmp_path, enable_progress_bar=False, accelerator="cpu"
    )
    engine.train(model, datamodule=module)
    assert losses[-1] < 0.5 * losses[0]
    again = type(model).load_from_checkpoint(next(tmp_path.rglob("tested.ckpt"))).eval()
    batch = images(4, 32)
    with torch.no_grad():
        assert torch.equal(model.eval().model(batch).pred_score, again.model(batch).pred_score)
    assert again.post_processor.record() == model.post_processor.record()
