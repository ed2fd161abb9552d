"""The last gate, for further ways in which a plugin does something that a bundle would not: each refused with reason."""

from __future__ import annotations

import errno
import json

import pandas as pd
import pytest
import torch
from tests.export.test_gate import trained
from tests.small_runs import raising
from torchvision.transforms import v2

from medanomaly.cli import main
from medanomaly.evidence import predictions as tables
from medanomaly.export import export_run
from medanomaly.runs.moved_pixels import displaced


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("PreCropBack", "heat maps would not lie on the image"),
        ("PreBlur", "cannot be made a graph: GuardOnDataDependentSymNode"),
        ("TupleModel", "return InferenceBatch"),
    ],
)
def test_what_no_bundle_can_do_is_one_line(tmp_path, capsys, name, says):
    run = trained(tmp_path, f"outside_model.{name}")
    capsys.readouterr()
    assert main(["export", "--run", str(run), "--out", str(tmp_path / "bundle")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("medanomaly: ")]
    assert says in line
    assert "\\x1b" not in line
    assert not (tmp_path / "bundle").exists()


def test_decisions_that_are_not_those_of_the_threshold_are_refused(tmp_path, capsys):
    run = trained(tmp_path, "outside_model.PostContrary")
    before = (run / "predictions.csv").read_bytes()
    capsys.readouterr()
    for command in (["export", "--run", str(run), "--out", str(tmp_path / "b")], ["decide", str(run), "--rule", "f1"]):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert "post-processor Contrary" in told
        assert "14 of 14 images differ" in told
        assert pd.read_csv(run / "predictions.csv")["path"][0] in told
    assert (run / "predictions.csv").read_bytes() == before
    evidence = json.loads((run / "evidence.json").read_text())
    assert "history" not in evidence["operating_point"]


@pytest.mark.parametrize(
    "command", [["export", "--run", "plain/run", "--out", "new"], ["decide", "plain/run", "--rule", "f1"]]
)
def test_a_run_without_what_the_test_gave_is_refused_with_the_true_cause(here, capsys, command):
    file = here / "plain" / "run" / "predictions.csv"
    table = pd.read_csv(file)
    table.drop(columns="raw_score").to_csv(file, index=False)
    assert main(command) == 2
    assert "predictions.csv: holds no raw_score" in capsys.readouterr().err
    file.unlink()
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "predictions.csv: there is no such file" in told
    assert "cannot be written" not in told
    assert not (here / "new").exists()


@pytest.mark.parametrize("where", ["bundle", "temporary"])
def test_a_full_disk_is_told_with_the_place_that_is_full(here, capsys, monkeypatch, where):
    full = OSError(errno.ENOSPC, "No space left on device")  # as writing raises it: without a file's name
    owner, name = {"bundle": (tables, "write"), "temporary": (torch.onnx, "export")}[where]
    monkeypatch.setattr(owner, name, raising(full))
    assert main(["export", "--run", "plain/run", "--out", "new"]) == 2
    told = capsys.readouterr().err
    place = "new" if where == "bundle" else "model.onnx"
    assert f"{place}: cannot be written (No space left on device; " in told
    assert not (here / "new").exists()


def test_a_model_of_another_precision_has_a_graph_of_32_bits(tmp_path):
    run = trained(tmp_path, "outside_model.DoubleModel")
    card = export_run(run, tmp_path / "bundle")
    assert card["tested"]["score_relative"] <= 1e-4
    assert card["tested"]["images"] == {"validation": 12, "test": 14}


SIZES = [(32, 32), (28, 28), (64, 96), (224, 224)]


def _same_place(size):
    height, width = size
    return [
        v2.Normalize([0.5] * 3, [0.2] * 3),
        v2.Grayscale(3),
        v2.GaussianBlur(5, sigma=(1.5, 1.5)),
        v2.RandomAutocontrast(1.0),
        v2.Compose([v2.ToDtype(torch.uint8, scale=True), v2.RandomEqualize(1.0)]),
        v2.Resize((height * 3 // 2, width * 3 // 2), antialias=True),
        v2.Resize((height // 2, width * 2), antialias=True),
        v2.Resize((256, 256)),
        v2.Compose([v2.Pad(8), v2.CenterCrop(size)]),
    ]


def _elsewhere(size):
    height, width = size
    return [
        v2.CenterCrop((height * 3 // 4, width * 3 // 4)),
        v2.Compose([v2.Resize((height * 8 // 7, width * 8 // 7)), v2.CenterCrop(size)]),
        v2.Compose([v2.Resize((256, 256)), v2.CenterCrop(224)]),
        v2.Pad(4),
        v2.RandomVerticalFlip(1.0),
        v2.RandomHorizontalFlip(1.0),
        v2.RandomRotation((20, 20)),
        v2.RandomRotation((180, 180)),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_what_moves_is_told_from_what_stays(size):
    device = torch.device("cpu")
    for transform in _same_place(size):
        assert not displaced(transform, size, device), transform
    for transform in _elsewhere(size):
        assert displaced(transform, size, device), transform
