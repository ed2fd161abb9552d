"""What a bundle's graph takes, decides and says: input types, Model API, ONNX, operating points written into it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pandas as pd
import pytest
from openvino import opset13 as ops

from medanomaly.cli import main
from medanomaly.edge import Bundle, BundleError, Detector
from medanomaly.edge.bundle_graph import card_of, describe, raw_outputs, same_card, same_point, seal, with_decision
from medanomaly.edge.detector import core
from medanomaly.edge.input_spec import InputSpec
from medanomaly.export import ExportError, export_run
from medanomaly.export.convert import finished

SIZE = 8
POINT = {"threshold": 0.5, "scale": 0.1, "pixel": {"threshold": 0.25, "scale": 0.05}}
RNG = np.random.default_rng(0)


def raw_graph(parts: bool = True, heat: bool = True) -> ov.Model:
    """Score: the mean of the image. Map: each pixel's mean. Parts: the mean, and its square."""
    image = ops.parameter([1, 3, SIZE, SIZE], np.float32, name="input")
    pixels = ops.reduce_mean(image, ops.constant(np.array([1])), keep_dims=True)
    score = ops.reduce_mean(pixels, ops.constant(np.array([1, 2, 3])), keep_dims=False)
    row = ops.unsqueeze(score, ops.constant(np.array(1)))
    outputs = {"pred_score": score}
    if heat:
        outputs["anomaly_map"] = pixels
    if parts:
        outputs["parts"] = ops.concat([row, ops.multiply(row, row)], 1)
    for name, node in outputs.items():
        node.output(0).set_names({name})
    return ov.Model(list(outputs.values()), [image])


def run(graph: ov.Model, tensor: np.ndarray) -> dict[str, np.ndarray]:
    out = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(tensor)
    return {name: value for port, value in out.items() for name in port.get_names()}


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16"])
@pytest.mark.parametrize("parts", [True, False])
def test_conversion_scaling_layout_and_decision_are_inside(tmp_path, kind, parts):
    form = InputSpec(kind)
    ov.save_model(finished(raw_graph(parts), form, POINT), tmp_path / "model.xml", compress_to_fp16=False)
    image = RNG.integers(0, 256, (SIZE, SIZE, 3)).astype(np.float32) / np.float32(255)
    tensor = form.tensor(image)
    assert (tensor.shape, tensor.dtype) == ((1, SIZE, SIZE, 3), kind)
    graph = core().read_model(tmp_path / "model.xml")
    assert [graph.input().get_element_type().to_dtype(), list(graph.input().shape)] == [kind, form.shape((SIZE, SIZE))]
    told = run(graph, tensor)
    assert set(told) >= {"anomaly_map", "pred_mask", "pred_score", "pred_label"}
    assert len(graph.outputs) == 4
    expected = np.float32(image.mean())
    z = (expected - np.float32(0.5)) / np.float32(0.1)
    np.testing.assert_allclose(told["pred_score"], [0.5 + 0.5 * z / (1 + abs(z))], rtol=1e-5)
    assert told["pred_label"].tolist() == [bool(expected > 0.5)]
    assert (told["pred_mask"][0, 0] == (image.mean(axis=2) > 0.25)).all()
    raw = run(raw_outputs(graph), tensor)
    np.testing.assert_allclose(raw["raw_score"], [expected], rtol=1e-6)
    np.testing.assert_allclose(raw["raw_map"][0, 0], image.mean(axis=2), rtol=1e-6)
    assert ("parts" in raw) == parts
    if parts:
        np.testing.assert_allclose(raw["parts"], [[expected, expected**2]], rtol=1e-5)


@pytest.mark.parametrize("point", [{**POINT, "centre": 0.9}, {**POINT, "centre": 0.6}])
def test_a_two_sided_rule_decides_by_the_distance(point):
    graph = finished(raw_graph(), InputSpec(), point)
    told = run(graph, np.full((1, SIZE, SIZE, 3), 0.1, np.float32))
    assert told["pred_label"].tolist() == [point["centre"] == 0.9]
    assert same_point(graph, point)
    assert not same_point(graph, POINT)


def test_a_graph_without_a_map_decides_and_is_not_offered_to_model_api():
    graph = with_decision(raw_graph(heat=False), POINT)
    describe(graph, {"reading": {"size": [SIZE, SIZE]}, "input": InputSpec().record()})
    assert len(graph.outputs) == 2
    assert not graph.has_rt_info("model_info")
    without_threshold = with_decision(raw_graph(), {**POINT, "pixel": None})
    assert "raw_map" in run(raw_outputs(without_threshold), np.zeros((1, 3, SIZE, SIZE), np.float32))


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match="Update medanomaly"):
        InputSpec("float16")
    assert InputSpec.of({}).shape((4, 5)) == [1, 3, 4, 5]
    image = np.array([0, 0.1, 0.5, 1], np.float32).reshape(1, 4, 1).repeat(3, axis=2)
    assert InputSpec("uint8").tensor(image)[0, 0, :, 0].tolist() == [0, 26, 128, 255]
    assert InputSpec("uint16").tensor(image)[0, 0, :, 0].tolist() == [0, 6554, 32768, 65535]


def test_the_card_lies_in_the_graph_without_the_files_hashes(tiny_bundle):
    card = Bundle.open(tiny_bundle).card
    graph = core().read_model(tiny_bundle / "model.xml")
    inner = card_of(graph)
    assert "files" not in inner
    assert same_card(inner, card)
    assert inner["operating_point"] == card["operating_point"]
    assert card["input"] == {"type": "float32", "layout": "NHWC", "one": 1}
    assert graph.get_rt_info(["model_info", "model_type"]).astype(str) == "AnomalyDetection"
    assert "/" not in json.dumps(card["parity"]["replay"]), "a path may name a patient"


def test_bundles_of_the_earlier_layout_run(tiny_run, tiny_bundle, tmp_path):
    from medanomaly.export.convert import to_openvino
    from medanomaly.runs import TestedRun

    older = Path(shutil.copytree(tiny_bundle, tmp_path / "older"))
    card = json.loads((older / "card.json").read_text())
    card.pop("input")
    trained = TestedRun.load(tiny_run)
    ov.save_model(to_openvino(trained.model.model, (32, 32)), older / "model.xml", compress_to_fp16=False)
    from medanomaly.files import sha256

    card |= {"schema": 2, "files": {name: sha256(older / name) for name in ("model.xml", "model.bin")}}
    (older / "card.json").write_text(json.dumps(card))
    image = RNG.random((32, 32, 3), dtype=np.float32)
    one, two = Detector(older, cache=False).score(image), Detector(tiny_bundle, cache=False).score(image)
    assert one.raw_score == pytest.approx(two.raw_score, rel=1e-5)
    np.testing.assert_allclose(one.raw_map, two.raw_map, rtol=1e-4, atol=1e-6)
    assert main(["decide", str(older), "--rule", "manual:0.001"]) == 0
    assert Detector(older, cache=False).decider.threshold == np.float32(0.001)
    assert main(["verify", str(older)]) == 0


@pytest.fixture(scope="session")
def uint16_bundle(tiny_run, tmp_path_factory) -> Path:
    """The run, exported for numbers of 16 bit, with a copy in ONNX."""
    out = tmp_path_factory.mktemp("uint16") / "bundle"
    export_run(tiny_run, out, input_type="uint16", onnx=True)
    return out


def test_uint16_holds_parity_and_uint8_is_refused_with_the_difference(tiny_run, uint16_bundle, tmp_path):
    card = Bundle.open(uint16_bundle).card
    assert card["input"]["type"] == "uint16"
    assert card["parity"]["score_relative"] <= 1e-4
    table = pd.read_csv(tiny_run / "predictions.csv")
    raw = [result.raw_score for result in Detector(uint16_bundle).stream(table["path"])]
    np.testing.assert_allclose(raw, table["raw_score"], rtol=1e-4)
    with pytest.raises(ExportError, match=r"difference \d.*rounded to uint8.*--input uint16 or float32"):
        export_run(tiny_run, tmp_path / "coarse", limit=8, input_type="uint8")
    assert not (tmp_path / "coarse").exists()


def test_decide_rewrites_the_graph(tiny_bundle, tmp_path):
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    image = RNG.random((32, 32, 3), dtype=np.float32)
    before = Detector(bundle).score(image)
    rule = f"manual:{before.raw_score * 2:.6g}"
    assert main(["decide", str(bundle), "--rule", rule, "--pixel-rule", "manual:0.01"]) == 0
    after, card = Detector(bundle).score(image), Bundle.open(bundle).card
    assert after.raw_score == before.raw_score
    graph = core().read_model(bundle / "model.xml")
    assert same_card(card_of(graph), card)
    assert same_point(graph, card["operating_point"])
    told = run(graph, image[None])
    assert told["pred_label"].tolist() == [after.abnormal] == [False]
    np.testing.assert_allclose(told["pred_score"], [after.score], atol=1e-6)
    assert (told["pred_mask"][0, 0] == after.mask).all()
    assert {path.name for path in bundle.iterdir()} == {*(p.name for p in tiny_bundle.iterdir()), "decisions.jsonl"}
    assert main(["verify", str(bundle)]) == 0


def test_an_onnx_copy_gives_the_same_raw_scores(tiny_run, uint16_bundle, tmp_path):
    bundle = Path(shutil.copytree(uint16_bundle, tmp_path / "bundle"))
    card = Bundle.open(bundle).card
    assert set(card["files"]) == {"model.xml", "model.bin", "model.onnx"}
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: the ONNX copy is not run")
    session = runtime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    assert [out.name for out in session.get_outputs()] == card["onnx"]["outputs"]
    detector = Detector(bundle)
    for path in pd.read_csv(tiny_run / "predictions.csv")["path"][:8]:
        result = detector(path)
        score, heat = session.run(["pred_score", "anomaly_map"], {"input": result.image.transpose(2, 0, 1)[None]})
        assert score[0] == pytest.approx(result.raw_score, rel=1e-4)
        np.testing.assert_allclose(heat[0, 0], result.raw_map, rtol=1e-3, atol=1e-6)
    (bundle / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="model.onnx: was altered"):
        Bundle.open(bundle)


SERVE = """
import json, sys
import cv2
import numpy as np
assert cv2.__version__.startswith("4."), cv2.__version__
from model_api.adapters import OpenvinoAdapter, create_core
from model_api.models import Model
adapter = OpenvinoAdapter(create_core(), sys.argv[1], plugin_config={"INFERENCE_PRECISION_HINT": "f32"})
model = Model.create_model(adapter)
assert type(model).__name__ == "AnomalyDetection"
told = [model(image) for image in np.load(sys.argv[2])]
print(json.dumps([[t.pred_label, t.pred_score, t.pred_mask.tolist(), t.anomaly_map.tolist()] for t in told]))
"""


@pytest.fixture(scope="session")
def model_api(tmp_path_factory) -> dict[str, str]:
    """An environment with OpenVINO Model API and the OpenCV 4 that it asks for: here they would replace OpenCV 5."""
    folder = tmp_path_factory.mktemp("model-api")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    wanted = ("openvino-model-api>=0.4", "opencv-python-headless>=4.10,<5")
    done = subprocess.run([*pip, "--target", folder, *wanted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"openvino-model-api cannot be had: {done.stderr.strip().splitlines()[-1]}")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("kind", ["float32", "uint16"])
def test_model_api_serves_a_bundle_with_our_scores_and_decisions(
    tiny_run, tiny_bundle, uint16_bundle, tmp_path, model_api, kind
):
    bundle = Path(shutil.copytree(tiny_bundle if kind == "float32" else uint16_bundle, tmp_path / "bundle"))
    detector = Detector(bundle)
    table = pd.read_csv(tiny_run / "predictions.csv")
    results = [detector(path) for path in table["path"]]
    threshold = np.median([result.raw_score for result in results])
    assert main(["decide", str(bundle), "--rule", f"manual:{threshold}"]) == 0
    detector = Detector(bundle)
    results = [detector(path) for path in table["path"]]
    np.save(tmp_path / "images.npy", np.concatenate([detector.bundle.form.tensor(result.image) for result in results]))
    command = [sys.executable, "-c", SERVE, bundle / "model.xml", tmp_path / "images.npy"]
    done = subprocess.run(command, capture_output=True, text=True, env=model_api)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [label == "True" for label, *_ in told] == [result.abnormal for result in results]
    np.testing.assert_allclose([score for _, score, *_ in told], [result.score for result in results], atol=1e-6)
    assert 0 < sum(result.abnormal for result in results) < len(results)
    for (_, _, mask, heat), result in zip(told, results, strict=True):
        np.testing.assert_array_equal(np.array(mask, bool), result.mask)
        np.testing.assert_allclose(np.array(heat) / 255, result.heat, atol=0.51 / 255)


def test_a_graph_that_was_read_may_be_sealed_over_itself(tiny_bundle, tmp_path):
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    weights = (bundle / "model.bin").read_bytes()
    graph, card = core().read_model(bundle / "model.xml"), Bundle.open(bundle).card
    seal(graph, bundle, card)
    assert (bundle / "model.bin").read_bytes() == weights
    assert Detector(bundle, cache=False).self_test()


def test_models_are_exported_from_several_threads(tmp_path):
    """torch.export traces one model at a time in a process."""
    from medanomaly.export.convert import to_onnx
    from medanomaly.models import Autoencoder

    model = Autoencoder(stages=2, width=4, latent=2).model
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: to_onnx(model, (16, 16), tmp_path / f"{i}.onnx"), range(8)))
    assert made == [["pred_score", "anomaly_map", "reconstruction_logits"]] * 8
    assert len({(tmp_path / f"{i}.onnx").read_bytes() for i in range(8)}) == 1
