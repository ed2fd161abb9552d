"""The reconstruction inside a bundle's graph: what torch makes, never an output, and nothing for other models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from medanomaly.edge import Bundle
from medanomaly.edge.bundle_graph import RECONSTRUCTION, raw_outputs, reconstruction_output
from medanomaly.edge.detector import core
from medanomaly.edge.input_spec import InputSpec
from medanomaly.edge.reconstruction import Reconstructor
from medanomaly.export.convert import finished, to_openvino
from medanomaly.models.reconstruction import reconstruction_of
from medanomaly.registry import get, plugins
from medanomaly.runs import TestedRun

POINT = {"threshold": 0.5, "scale": 0.1, "pixel": {"threshold": 0.25, "scale": 0.05}}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", sorted(plugins("model")))
def test_the_graph_of_each_plugin_holds_its_reconstruction_inside(name, tmp_path):
    model = get("model", name)().eval().model
    mark, seen = reconstruction_of(model), []
    assert (mark is None) == (name == "Classifier")
    ov.save_model(
        finished(to_openvino(model, (48, 48)), InputSpec(), POINT), tmp_path / "model.xml", compress_to_fp16=False
    )
    graph = core().read_model(tmp_path / "model.xml")
    assert len(graph.outputs) == 4  # more than four are refused by OpenVINO Model API
    part = reconstruction_output(graph)
    if mark is None:
        assert part is None
        return
    mark.register_forward_hook(lambda _module, _args, out: seen.append(out))
    image = RNG.random((1, 48, 48, 3), dtype=np.float32)
    with torch.no_grad():
        model(torch.from_numpy(image).permute(0, 3, 1, 2))
    compiled = core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled(image)[0], seen[0], rtol=1e-3, atol=1e-4)
    scored = raw_outputs(graph)
    assert RECONSTRUCTION not in {one for port in scored.outputs for one in port.get_names()}


def test_a_bundle_shows_what_its_run_reconstructs(tiny_run, tiny_bundle):
    run = TestedRun.load(tiny_run)
    image = RNG.random((*run.reading.size, 3), dtype=np.float32)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = torch.sigmoid(run.model.model.logits(tensor))[0].permute(1, 2, 0)
    reconstructor = Reconstructor.of(Bundle.open(tiny_bundle))
    assert reconstructor is not None
    shown = reconstructor(image)
    assert (shown.shape, shown.dtype) == (image.shape, np.float32)
    np.testing.assert_allclose(shown, expected, atol=1e-5)


def test_a_bundle_of_an_earlier_version_shows_none(tiny_bundle, tmp_path):
    from medanomaly.files import sha256

    older = Path(shutil.copytree(tiny_bundle, tmp_path / "older"))
    card = json.loads((older / "card.json").read_text())
    text = (older / "model.xml").read_text()
    assert RECONSTRUCTION in text
    (older / "model.xml").write_text(text.replace(RECONSTRUCTION, "x"))
    card["files"]["model.xml"] = sha256(older / "model.xml")
    (older / "card.json").write_text(json.dumps(card))
    assert Reconstructor.of(Bundle.open(older)) is None
