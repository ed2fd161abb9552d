"""The last gate of an export: what a bundle gives for files is what the tested run wrote down, or there is none."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medanomaly.cli import main
from medanomaly.edge import Detector
from medanomaly.evidence import predictions as tables
from medanomaly.evidence.check_caveats import groups
from medanomaly.export import ExportError, export_run, gate
from medanomaly.export.moved_files import MovedFiles
from medanomaly.runs import TestedRun
from medanomaly.runs.rescore import batches
from medanomaly.training.command_line import run as train


def trained(work: Path, model: str, data: str = "Phantom", *options: str) -> Path:
    """Folder of a run of a model on drawn frames of 32 px."""
    status = train(
        [
            "train",
            "--model", model,
            "--model.init_args.stages", "2",
            "--model.init_args.width", "4",
            "--model.init_args.latent", "4",
            "--data", data,
            "--data.init_args.root", str(work / "frames"),
            "--data.init_args.train", "8",
            "--data.init_args.val", "6",
            "--data.init_args.test", "7",
            "--data.init_args.image_size", "32",
            *options,
            "--model.init_args.visualizer", "medanomaly.runs.evidence_writer.EvidenceWriter",
            "--model.init_args.visualizer.checks", "false",
            "--trainer.max_epochs", "1",
            "--trainer.logger", "false",
            "--trainer.enable_progress_bar", "false",
            "--default_root_dir", str(work / "results"),
        ]
    )  # fmt: skip
    assert status == 0
    return next((work / "results").glob("*/*/v0"))


@pytest.mark.parametrize("name", ["PreNorm", "PreGrey", "PreResize", "SameSize", "PreOwn", "PreCropMapless"])
def test_what_the_pre_processor_does_is_in_the_graph(tmp_path, name):
    run = trained(tmp_path, f"outside_model.{name}")
    card = export_run(run, tmp_path / "bundle")
    assert card["tested"]["images"] == {"validation": 12, "test": 14}
    assert card["tested"]["score_relative"] <= 1e-4
    assert card["tested"]["flips"] == 0
    detector = Detector(tmp_path / "bundle", cache=False)
    for row in tables.read(run / "predictions.csv").itertuples():  # what the edge gives for each file
        result = detector(row.path)
        assert result.raw_score == pytest.approx(row.raw_score, rel=1e-4)
        assert result.abnormal == row.decision
    # What is rescored is what was tested.
    found = np.concatenate([batch.pred_score.numpy() for batch in batches(TestedRun.load(run), "test")])
    np.testing.assert_allclose(found, pd.read_csv(run / "predictions.csv")["raw_score"], rtol=1e-5)
    assert main(["verify", str(tmp_path / "bundle"), str(tmp_path / "frames")]) == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("StepOnly", "StepOnly has its own validation_step"),
        ("ScoreStep", "ScoreStep has its own test_step"),
        ("TransferHook", "hooks"),
        ("PreHook", "hooks"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_the_worst_image(tmp_path, capsys, name, says):
    run = trained(tmp_path, f"outside_model.{name}")
    capsys.readouterr()
    assert main(["export", "--run", str(run), "--out", str(tmp_path / "bundle")]) == 2
    told = capsys.readouterr().err
    assert "The bundle is not what was tested" in told
    assert says in told
    worst = re.search(r"On (\S+\.png) it gives the raw score ([^,]+), and the test gave ([^ ]+) ", told)
    assert worst is not None
    tables = pd.concat([pd.read_csv(run / file) for file in ("predictions.csv", "validation.csv")])
    assert tables.set_index("path").loc[worst[1], "raw_score"] == pytest.approx(float(worst[3]), rel=1e-4)
    assert not (tmp_path / "bundle").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    # Rescoring goes through the same object, step and hooks and all.
    found = np.concatenate([batch.pred_score.numpy() for batch in batches(TestedRun.load(run), "test")])
    np.testing.assert_allclose(found, pd.read_csv(run / "predictions.csv")["raw_score"], rtol=1e-5)


def test_a_data_module_that_decodes_files_otherwise_is_refused(tmp_path):
    run = trained(tmp_path, "Autoencoder", "outside_model.OwnDecode")
    with pytest.raises(ExportError, match="data module's own decoding"):
        export_run(run, tmp_path / "bundle")


def test_heat_maps_of_a_cropped_image_are_refused(tmp_path):
    run = trained(tmp_path, "outside_model.PreCrop")
    with pytest.raises(ExportError, match="field_of_view"):
        export_run(run, tmp_path / "bundle")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with synthetic anomalies in validation and test."""
    return trained(
        tmp_path_factory.mktemp("small"),
        "Autoencoder",
        "Phantom",
        "--data.init_args.synthetic_anomalies",
        "[noise:0.3, blob]",
    )


def test_the_card_says_what_was_compared(small, tmp_path, capsys):
    assert main(["export", "--run", str(small), "--out", str(tmp_path / "bundle")]) == 0
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    record = card["tested"]
    assert record["images"] == {"validation": 12, "test": 14}
    assert record["left_out"] == {"synthetic": 2 * 6 + 2 * 7, "gone": 0}
    assert set(record["worst"]) == {"sha256"}  # no path, which may name a patient
    assert str(tmp_path.parent) not in json.dumps(card["tested"])
    assert "12 validation and 14 test images" in capsys.readouterr().out


def test_an_image_that_was_changed_is_refused(small, tmp_path):
    run = shutil.copytree(small, tmp_path / "run")
    table = pd.read_csv(run / "predictions.csv")
    table.loc[3, "raw_score"] *= 1.001
    table.to_csv(run / "predictions.csv", index=False, float_format="%.9g")
    with pytest.raises(ExportError, match=re.escape(table.loc[3, "path"])):
        export_run(run, tmp_path / "bundle")


def test_images_that_are_gone_are_found_below_images_or_refused(here, capsys):
    Path("images").rename("elsewhere")
    assert main(["export", "--run", "plain/run", "--out", "new"]) == 2
    assert "--images" in capsys.readouterr().err
    assert not Path("new").exists()
    card = export_run("plain/run", "new", images="elsewhere")
    assert card["tested"]["images"] == {"validation": 18, "test": 20}
    # Others' images prove nothing.
    Path("others").mkdir()
    shutil.copy(next(Path("elsewhere").glob("*.png")), "others/another.png")
    with pytest.raises(ExportError, match="none of its images"):
        export_run("plain/run", "second", images="others")


def test_a_class_that_cannot_be_imported_is_named_with_the_cause(here, capsys):
    record = json.loads(Path("plain/run/run.json").read_text())
    for path, says in (
        ("no_such_module.Model", "No module named 'no_such_module'"),
        ("__main__.Model", "defined in a script"),
        ("json.JSONDecoder", "is no AnomalibModule"),
        ("outside_model.Gone", "has no attribute 'Gone'"),
    ):
        record["model"]["class_path"] = path
        Path("plain/run/run.json").write_text(json.dumps(record))
        assert main(["export", "--run", "plain/run", "--out", "new"]) == 2
        told = capsys.readouterr().err
        assert says in told
        assert "not installed" not in told


def test_int8_passes_the_gate_by_its_fidelity(here):
    card = export_run("adversarial/run", "new", precision="int8", drop=0.9)
    assert card["tested"]["images"] == {"validation": 18, "test": 20}
    assert 0.1 <= card["tested"]["fidelity"] <= 1
    assert card["tested"]["allowed"] == 0.9


def test_a_reduced_bundle_that_ranks_otherwise_is_refused(here):
    run, found = TestedRun.load("plain/run"), gate.Compared()
    table = pd.read_csv("plain/run/validation.csv")
    found.names, found.tested = table["path"].tolist(), table["raw_score"].tolist()
    found.got, found.decided = table["raw_score"].tolist()[::-1], [False] * len(table)
    found.abnormal, found.of_test = table["abnormal"].tolist(), [False] * len(table)
    detector = Detector("plain/bundle", cache=False)
    with pytest.raises(ExportError, match="fidelity to the tested run on 18 validation images"):
        gate.check_reduced(run, found, detector, detector.bundle.card["operating_point"], 0.005, 0.02)


def test_files_are_found_by_the_end_of_their_path(tmp_path):
    for name in ("a/one.png", "b/one.png", "b/two.png", "b/c/one.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    places = MovedFiles(tmp_path)
    assert places.of("/old/a/one.png") == str(tmp_path / "a" / "one.png")
    assert places.of("D:\\old\\b\\one.png") == str(tmp_path / "b" / "one.png")
    assert places.of("/old/two.png#frame=2") == str(tmp_path / "b" / "two.png") + "#frame=2"
    assert places.of("/old/one.png") is None  # three alike
    assert places.of("/old/three.png") is None


def test_synthetic_rows_are_told_by_their_address(tmp_path):
    file = tmp_path / "x@noise:0.2#0"
    assert gate._is_synthetic(str(file))
    file.write_bytes(b"")
    assert not gate._is_synthetic(str(file))
    assert gate._is_synthetic("scan.dcm#frame=2@foreign:/a/b.npz#1")
    assert not gate._is_synthetic("set.npz#test/12")
    assert not gate._is_synthetic("/home/me@clinic/p01.png#frame=2")


def test_the_card_names_no_group(here):
    """A group's name may be a patient's: the report names some, the bundle none."""
    file = Path("plain/run/evidence.json")
    evidence = json.loads(file.read_text())
    shared = {"train": {"groups": 1, "images": 2}, "val": {"groups": 0, "images": 0}}
    evidence["checks"]["groups"] = {"test_groups": 20, "shared": shared, "examples": ["Mueller, Anna"]}
    caveat = groups(evidence)
    assert caveat is not None
    assert "Mueller" in caveat["text"]
    evidence["caveats"].insert(0, caveat)
    file.write_text(json.dumps(evidence))
    export_run("plain/run", "new")
    card = Path("new/card.json").read_text()
    assert "Patients of the test were seen before" in card
    assert "Mueller" not in card
    assert "Mueller" not in Path("new/model.xml").read_text()
