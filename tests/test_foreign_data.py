"""Our models on anomalib's own data modules: trained, tested, predicted, decided and exported, or the true cause said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from medanomaly.cli import main
from medanomaly.edge import Detector
from medanomaly.evidence import predictions as tables
from medanomaly_phantom.drawing import draw
from tests.conftest import write_image


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for label, bleeding, number in (("good", False, 24), ("bad", True, 10)):
        for i in range(number):
            write_image(folder / label / f"{i:02d}.png", draw(1000 * bleeding + i, bleeding, 32)[0])
    return folder


def options(frames: Path) -> list[str]:
    return [
        "--data", "anomalib.data.Folder",
        "--data.init_args.name", "frames",
        "--data.init_args.root", str(frames),
        "--data.init_args.normal_dir", "good",
        "--data.init_args.abnormal_dir", "bad",
        "--data.init_args.num_workers", "0",
    ]  # fmt: skip


MODEL = ["--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4"]
TRAINER = ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"]


@pytest.fixture(scope="module")
def run(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("foreign")
    args = ["train", *MODEL, *options(frames), *TRAINER, "--trainer.max_epochs", "1", "--default_root_dir", str(work)]
    assert main(args) == 0
    return next(work.rglob("run.json")).parent


def test_the_bundle_is_what_was_tested(run, tmp_path, capsys):
    assert main(["export", "--run", str(run), "--out", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    detector = Detector(tmp_path / "bundle", cache=False)
    for row in tables.read(run / "predictions.csv").itertuples():
        assert detector(row.path).raw_score == pytest.approx(row.raw_score, rel=1e-4)


def test_images_of_several_sizes_say_why_there_is_no_bundle(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copy / "run.json").read_text())
    record["image_size"] = None
    (copy / "run.json").write_text(json.dumps(record))
    assert main(["export", "--run", str(copy), "--out", str(tmp_path / "bundle")]) == 2
    told = capsys.readouterr().err
    assert "anomalib.data" in told
    assert "one size" in told
    assert "unreadable" not in told


def test_decide_needs_no_images_for_an_image_rule_and_says_why_it_has_none_for_pixels(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    assert main(["decide", str(copy), "--rule", "quantile:0.5"]) == 0
    assert "options of others" in capsys.readouterr().out  # why the report has no pictures
    assert main(["decide", str(copy), "--pixel-rule", "quantile:0.9"]) == 2
    told = capsys.readouterr().err
    assert "options of others" in told
    assert "unreadable" not in told


def test_predict_takes_the_folder_it_was_trained_on(run, frames, tmp_path):
    checkpoint = str(run / "weights" / "tested.ckpt")
    args = ["predict", *MODEL, *options(frames), *TRAINER, "--ckpt_path", checkpoint]
    assert main([*args, "--default_root_dir", str(tmp_path)]) == 0


def test_predict_refuses_images_of_another_size(run, tmp_path, capsys):
    for label in ("good", "bad"):
        for i in range(6):
            write_image(tmp_path / "other" / label / f"{i}.png", np.full((48, 48, 3), 40 * i, np.uint8))
    checkpoint = str(run / "weights" / "tested.ckpt")
    args = ["predict", *MODEL, *options(tmp_path / "other"), *TRAINER, "--ckpt_path", checkpoint]
    assert main([*args, "--default_root_dir", str(tmp_path)]) == 2
    assert "48×48, and the model was validated on 32×32" in capsys.readouterr().err
