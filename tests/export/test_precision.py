"""Reduced precision: what is quantised, what it costs, when it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pandas as pd
import pytest
from openvino import opset13 as ops

from medanomaly.cli import main
from medanomaly.decision.decision_function import DecisionFunction, record
from medanomaly.decision.rules import fit
from medanomaly.edge import Bundle, BundleError, Detector
from medanomaly.edge.batch.verify_bundle import verify
from medanomaly.edge.compilation import _pinned
from medanomaly.edge.detector import core
from medanomaly.export import ExportError, export_run, quantise
from medanomaly.export import precision as reduced
from medanomaly.export.convert import to_openvino
from medanomaly.export.precision_loss import differences, fidelity, image_of, refitted
from medanomaly.metrics.ranking import auroc, spearman
from medanomaly.runs import TestedRun

RNG = np.random.default_rng(0)
BF16 = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def int8(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "bundle"
    export_run(tiny_run, out, precision="int8", drop=0.1, onnx=True)
    return out


@pytest.fixture
def broken(monkeypatch):
    """Quantising that turns the order of all scores round."""

    def upside_down(graph, calibration, validation, quality, drop):
        for output in graph.outputs:
            if "pred_score" in output.get_names():
                result = output.get_node()
                turned = ops.multiply(result.input_value(0), ops.constant(np.float32(-1)))
                turned.output(0).set_names({"pred_score"})
                result.input_value(0).set_names(set())
                result.input(0).replace_source_output(turned.output(0))
        return graph, quantise.Layers(8, 8)

    monkeypatch.setattr(reduced, "quantise", upside_down)


def convolution() -> ov.Model:
    """One convolution and the mean of what it gives."""
    image = ops.parameter([1, 3, 8, 8], np.float32)
    weights = ops.constant(RNG.normal(size=(4, 3, 3, 3)).astype(np.float32))
    mixed = ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    score = ops.reduce_mean(mixed, ops.constant(np.array([1, 2, 3])))
    score.output(0).set_names({"pred_score"})
    return ov.Model([score], [image])


def normals_only(run: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(run, folder / "run"))
    known = json.loads((copy / "run.json").read_text())
    known["data"]["init_args"]["validation"] = "normal"
    (copy / "run.json").write_text(json.dumps(known))
    return copy


def after_last_convolution(graph: ov.Model) -> list[str]:
    types = [op.get_type_name() for op in graph.get_ordered_ops()]
    return types[max(i for i, name in enumerate(types) if "Convolution" in name) + 1 :]


def test_card_says_what_int8_costs(int8, tiny_bundle):
    card, before = Bundle.open(int8).card, Bundle.open(tiny_bundle).card
    cost = card["cost"]
    assert card["precision"] == card["parity"]["precision"] == "int8"
    assert (cost["compared_with"], cost["measured_on"]) == ("f32", "validation")
    assert cost["images"] == {"normal": 20, "abnormal": 20}
    ranking = cost["auroc"]
    assert ranking["f32"] == pytest.approx(ranking["reduced"] + ranking["drop"])
    loss = max(abs(ranking["drop"]), 1 - cost["rank_correlation"])
    assert 1 - cost["fidelity"] == pytest.approx(loss)
    assert loss <= cost["allowed"] == 0.1
    assert 0 < cost["layers"]["int8"] <= cost["layers"]["convolutions"]
    assert cost["threshold"]["f32"] == before["operating_point"]["threshold"]
    assert cost["threshold"]["reduced"] == card["operating_point"]["threshold"]
    assert cost["bytes"]["f32"] > 0 < cost["bytes"]["reduced"]
    assert min(cost["speed"], *cost["latency_ms"].values()) > 0
    assert card["results"] == before["results"]
    assert any("those of f32" in caveat["title"] for caveat in card["caveats"])
    assert card["self_test"]["tolerance"] == card["parity"]["tolerance"] == reduced.TOLERANCES["int8"]
    assert "int8" in reduced.sentence(card)


def test_int8_bundle_holds_the_scores_that_it_gives(int8, tiny_run):
    detector, known = Detector(int8, cache=False), pd.read_csv(int8 / "validation.csv")
    dataset = TestedRun.load(tiny_run).datamodule().subset("val")
    raw = np.array([detector.score(image_of(dataset, i)).raw_score for i in range(len(dataset))])
    np.testing.assert_allclose(known["raw_score"], raw, rtol=1e-6)
    assert known["abnormal"].tolist() == dataset.abnormal.tolist()
    assert list(known.columns) == list(pd.read_csv(tiny_run / "validation.csv").drop(columns=["path", "group"]))
    point = detector.bundle.card["operating_point"]
    chosen = fit(point["rule"], point["value"], raw, dataset.abnormal.numpy())
    assert point["threshold"] == pytest.approx(chosen.threshold, rel=1e-6)


def test_int8_bundle_is_whole_and_can_be_decided_anew(int8, tmp_path):
    assert verify(int8).good
    copy = Path(shutil.copytree(int8, tmp_path / "bundle"))
    assert main(["decide", str(copy), "--rule", "quantile:0.5"]) == 0
    assert verify(copy).good
    assert Bundle.open(copy).card["cost"] == Bundle.open(int8).card["cost"]


def test_what_ranks_stays_f32(int8, tiny_run):
    graph = core().read_model(int8 / "model.xml")
    assert sum(op.get_type_name() == "FakeQuantize" for op in graph.get_ops()) > 0
    assert "FakeQuantize" not in after_last_convolution(graph)
    run = TestedRun.load(tiny_run)
    kept = quantise._ranking(to_openvino(run.model.model, run.reading.size))
    assert any("sigmoid" in name for name in kept)
    assert not any("prelu" in name.lower() for name in kept)


def test_normals_alone_are_judged_by_agreement(tiny_run, tmp_path):
    run = normals_only(tiny_run, tmp_path)
    card = export_run(run, tmp_path / "bundle", precision="int8", drop=0.5)
    cost = card["cost"]
    assert cost["auroc"] is None
    assert cost["fidelity"] == pytest.approx(1 - max(cost["flips"] / 20, 1 - cost["rank_correlation"]))
    assert cost["images"] == {"normal": 20, "abnormal": 0}


@pytest.mark.usefixtures("broken")
def test_too_much_is_refused_and_leaves_nothing(tiny_run, tmp_path, capsys):
    out = tmp_path / "bundle"
    assert main(["export", "--run", str(tiny_run), "--out", str(out), "--precision", "int8"]) == 2
    told = capsys.readouterr().err
    assert "int8 is not true enough to f32 on 40 validation images: AUROC" in told
    assert "--accuracy-drop" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("nncf", "message"),
    [
        (lambda graph, *_: graph.clone(), "No layer stays quantised: NNCF put all 1 convolutions back"),
        (lambda *_: 1 / 0, "NNCF cannot quantise this model .ZeroDivisionError"),
    ],
)
def test_failures_of_nncf_are_refusals(monkeypatch, nncf, message):
    monkeypatch.setattr(quantise, "_with_nncf", nncf)
    with pytest.raises(ExportError, match=message):
        quantise.quantise(convolution(), [], [], lambda raw: 1.0, 0.1)


def test_a_graph_without_convolutions_is_refused():
    image = ops.parameter([1, 3, 4, 4], np.float32)
    graph = ov.Model([ops.reduce_mean(image, ops.constant(np.array([1, 2, 3])))], [image])
    with pytest.raises(ExportError, match="no convolution"):
        quantise.quantise(graph, None, None, None, 0.1)


def test_images_of_the_run_are_needed(tiny_run, tmp_path):
    copy = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    known = json.loads((copy / "run.json").read_text())
    known["data"] = {"class_path": "medanomaly.data.Folder", "init_args": {"root": str(tmp_path / "nowhere")}}
    known["data"]["class_path"] = "medanomaly_folder.Folder"
    (copy / "run.json").write_text(json.dumps(known))
    table = pd.read_csv(tiny_run / "predictions.csv")
    with pytest.raises(ExportError, match="judged on the run's own images"):
        export_run(copy, tmp_path / "bundle", images=Path(table["path"][0]).parent, precision="int8")


@pytest.mark.parametrize(("precision", "drop"), [("int4", 0.1), ("int8", -0.1), ("int8", float("nan"))])
def test_options_out_of_range_are_refused(tiny_run, tmp_path, precision, drop):
    with pytest.raises(ValueError, match="need precision"):
        export_run(tiny_run, tmp_path / "bundle", precision=precision, drop=drop)


@pytest.mark.skipif(not BF16, reason="this CPU does not compute in bfloat16")
def test_bf16_is_pinned_and_measured(tiny_run, tmp_path, capsys):
    out = tmp_path / "bundle"
    options = ["--precision", "bf16", "--accuracy-drop", "0.1"]
    assert main(["export", "--run", str(tiny_run), "--out", str(out), *options]) == 0
    assert "bf16 against f32 on 40" in capsys.readouterr().out
    card = Bundle.open(out).card
    assert (card["precision"], card["cost"]["layers"]) == ("bf16", None)
    assert card["cost"]["score_relative"] > 1e-4
    assert verify(out).good


def test_a_cpu_without_bf16_is_refused(monkeypatch):
    class Old:
        def get_property(self, *_):
            return ["FP32", "INT8"]

    monkeypatch.setattr(reduced, "core", Old)
    with pytest.raises(ExportError, match="does not compute in bf16 .OpenVINO names FP32, INT8"):
        reduced._needs_bf16()


def test_a_bf16_bundle_is_refused_where_it_would_run_in_f32(tiny_bundle):
    class Compiled:
        def get_property(self, _):
            return ov.Type.f32

    bundle = Bundle.open(tiny_bundle)
    assert _pinned(Compiled(), bundle, "CPU")
    bundle.card["precision"] = "bf16"
    with pytest.raises(BundleError, match="is of bf16, and CPU would compute it in f32"):
        _pinned(Compiled(), bundle, "CPU")


def test_a_signal_after_quantising_is_handled_and_nothing_is_printed(tmp_path):
    """NNCF frees OpenVINO cores in the order they were made; see Detector's ``core``."""
    ov.save_model(convolution(), tmp_path / "model.xml", compress_to_fp16=False)
    code = f"""
import os, signal
import numpy as np
from medanomaly.edge.detector import core
from medanomaly.export.quantise import quantise
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
images = list(np.random.default_rng(0).random((20, 1, 3, 8, 8), dtype=np.float32))
print(quantise(core().read_model({str(tmp_path / "model.xml")!r}), images, images, lambda raw: 1.0, 0.1)[1])
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Layers(total=1, quantised=1)\nhandled\n"), done.stderr
    assert "nncf" not in done.stderr.lower()


# What is measured, on drawn scores.


def point_of(rule, value, raw, abnormal):
    fitted_on = {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())}
    return {**record(rule, value, fit(rule, value, raw, abnormal), raw[~abnormal], fitted_on), "pixel": None}


def scores(number=60, ill=True):
    abnormal = np.arange(number) % 3 == 0 if ill else np.zeros(number, bool)
    return (RNG.normal(size=number) + abnormal).astype(np.float32), abnormal


@pytest.mark.parametrize("rule", [("quantile", 0.9), ("sigma_two_sided", 1.0), ("conformal", 0.1), ("manual", 0.3)])
def test_the_same_rule_is_asked_of_the_new_scores(rule):
    raw, abnormal = scores()
    old = point_of(*rule, raw, abnormal)
    other = (2 * raw + 1).astype(np.float32)
    new = refitted(old, raw, other, abnormal)
    if rule[0] == "manual":
        assert new["threshold"] == old["threshold"]
    else:
        assert (DecisionFunction.of(new).abnormal(other) == DecisionFunction.of(old).abnormal(raw)).all()
    if rule[0] == "conformal":
        assert new["calibration"] != old["calibration"]


def test_a_point_that_was_chosen_elsewhere_is_kept():
    raw, abnormal = scores()
    old = {**point_of("quantile", 0.9, raw + 5, abnormal), "history": [{"rule": "f1"}]}
    assert refitted(old, raw, 2 * raw, abnormal) == old
    needs = {**old, "rule": "youden", "value": None}
    assert refitted(needs, raw, raw, np.zeros(len(raw), bool)) == needs


def test_differences_count_flips_at_both_thresholds():
    raw, abnormal = scores()
    old = point_of("quantile", 0.9, raw, abnormal)
    other = (2 * raw + 1).astype(np.float32)
    new = refitted(old, raw, other, abnormal)
    samples = pd.DataFrame({"abnormal": abnormal, "group": np.arange(len(raw))})
    found = differences(old, new, raw, other, samples)
    assert (found["fidelity"], found["flips"], found["rank_correlation"]) == (pytest.approx(1), 0, pytest.approx(1))
    assert (found["auroc"]["drop"], found["auroc"]["low"]) == (0, None)
    expected = (raw > np.float32(old["threshold"])) != (other > np.float32(old["threshold"]))
    assert found["flips_at_f32_threshold"] == expected.sum() > 0
    assert found["score_relative"] == pytest.approx(np.max(np.abs(raw - other) / np.abs(raw)), rel=1e-5)
    assert found["threshold"]["refitted"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("ill", [True, False])
def test_fidelity_is_that_of_ranks_and_not_of_scale(ill):
    raw, abnormal = scores(ill=ill)
    of = fidelity(point_of("quantile", 0.9, raw, abnormal), raw, abnormal)
    assert of(raw) == pytest.approx(1)
    assert of(3 * raw) == pytest.approx(1)
    assert of(-raw) < 0
    assert np.isnan(of(np.where(np.arange(60) == 0, np.inf, raw)))


def test_fidelity_counts_decisions_among_normals():
    raw, healthy = scores(ill=False)
    swapped = raw.copy()
    first, second = np.argsort(raw)[[-1, 0]]
    swapped[[first, second]] = raw[[second, first]]
    of = fidelity(point_of("quantile", 0.9, raw, healthy), raw, healthy)
    assert of(swapped) == pytest.approx(min(spearman(raw, swapped), 1 - 2 / 60))


def test_fidelity_takes_another_model_of_equal_auroc_for_another():
    """The AUROC alone let through graphs whose AUROC on the test was another."""
    raw = np.arange(60, dtype=np.float32)
    abnormal = (raw < 15) | (raw >= 45)
    other = np.where(abnormal, 59 - raw, raw).astype(np.float32)
    of = fidelity(point_of("quantile", 0.9, raw, abnormal), raw, abnormal)
    assert auroc(raw, abnormal) == auroc(other, abnormal) == 0.5
    assert of(other) < 0.5


def test_fidelity_falls_when_the_auroc_rises():
    raw, abnormal = scores()
    better = (raw + 10 * abnormal).astype(np.float32)
    of = fidelity(point_of("quantile", 0.9, raw, abnormal), raw, abnormal)
    assert of(better) <= 1 - (auroc(better, abnormal) - auroc(raw, abnormal)) < 1
