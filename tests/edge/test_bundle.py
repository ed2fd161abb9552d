"""Bundles: checked on opening, equal to torch, robust to bad input, light."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image

from medanomaly.cli import main
from medanomaly.edge import Bundle, BundleError, Detector, Failure
from medanomaly.evidence import predictions as tables
from medanomaly.export import ExportError, export_run
from medanomaly.imaging import ImageError


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def edit(bundle: Path, **changes) -> None:
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps({**card, **changes}))


def test_card_says_how_to_read_and_decide(tiny_bundle):
    card = Bundle.open(tiny_bundle).card
    assert card["reading"]["size"] == [32, 32]
    assert card["operating_point"]["rule"] == "quantile"
    assert card["parity"]["score_relative"] <= 1e-4
    assert card["parity"]["flips"] == 0
    assert card["parity"]["images"] == 40
    assert set(card["self_test"]["figures"]) == {"raw_score", "map_mean"}
    assert Detector(tiny_bundle).self_test()
    assert {path.name for path in tiny_bundle.iterdir()} == {"card.json", "model.xml", "model.bin", "validation.csv"}


def test_test_images_score_as_in_torch(tiny_run, tiny_bundle):
    table = tables.read(tiny_run / "predictions.csv")
    results = list(Detector(tiny_bundle).stream(table["path"]))
    raw = np.array([result.raw_score for result in results])
    np.testing.assert_allclose(raw, table["raw_score"], rtol=1e-4)
    np.testing.assert_allclose([result.score for result in results], table["score"], atol=1e-4)
    assert [result.abnormal for result in results] == table["decision"].tolist()
    assert [result.input for result in results] == table["path"].tolist()


def test_array_and_file_give_the_same(tiny_run, tiny_bundle):
    from medanomaly.imaging import decode

    path = pd.read_csv(tiny_run / "predictions.csv")["path"][0]
    detector = Detector(tiny_bundle)
    one, two = detector(path), detector(decode(path))
    assert one.raw_score == two.raw_score
    np.testing.assert_array_equal(one.heat, two.heat)
    assert ((one.heat > 0.5) == one.mask).all()


def test_a_signal_after_detectors_have_gone_is_handled(tiny_bundle):
    """Freed in the order they were made: with a core each, OpenVINO would leave a freed signal stack behind."""
    code = f"""
import os, signal
from medanomaly.edge import Detector
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
first, second = Detector({str(tiny_bundle)!r}), Detector({str(tiny_bundle)!r})
del first
del second
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_infer_records_every_input_and_says_that_some_failed(tiny_run, tiny_bundle, tmp_path, capsys):
    good = pd.read_csv(tiny_run / "predictions.csv")["path"].tolist()[:5]
    folder = tmp_path / "in"
    folder.mkdir()
    for path in good:
        shutil.copy(path, folder)
    (folder / "zero.png").touch()
    (folder / "text.png").write_text("I am no picture")
    write_image(folder / "small.png", np.zeros((2, 3), np.uint8))
    cut = write_image(folder / "cut.jpg", np.full((64, 64, 3), 99, np.uint8))
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "none").mkdir()
    out = tmp_path / "out"
    inputs = [str(folder), str(tmp_path / "none"), str(tmp_path / "missing.png")]
    assert main(["infer", str(tiny_bundle), *inputs, "--out", str(out), "--overlays", "all"]) == 1
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(records) == 5 + 4 + 2
    failed = {Path(record["input"]).name: record["error"] for record in records if record["status"] == "failed"}
    assert set(failed) == {"zero.png", "text.png", "cut.jpg", "none", "missing.png"}
    assert "empty" in failed["zero.png"]
    assert "not a readable image" in failed["text.png"]
    assert "truncated" in failed["cut.jpg"]
    assert "no images" in failed["none"]
    assert "does not exist" in failed["missing.png"]
    for record in records:
        assert record["status"] == "failed" or (out / record["overlay"]).is_file()
    assert "5 failed" in capsys.readouterr().out
    assert main(["infer", str(tiny_bundle), good[0], "--out", str(tmp_path / "fine")]) == 0


def test_stream_keeps_order_around_failures(tiny_run, tiny_bundle):
    good = pd.read_csv(tiny_run / "predictions.csv")["path"].tolist()[:20]
    paths = [item for path in good for item in (path, "/nowhere.png")]
    results = list(Detector(tiny_bundle).stream(paths))
    assert [result.input for result in results] == paths
    assert [isinstance(result, Failure) for result in results] == [False, True] * 20
    with pytest.raises(ImageError, match="nowhere"):
        Detector(tiny_bundle)("/nowhere.png")


@pytest.mark.parametrize("name", ["model.bin", "model.xml"])
def test_altered_and_missing_files_are_named(copy, name):
    with (copy / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=f"{name}: was altered"):
        Bundle.open(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"lacks {name}"):
        Bundle.open(copy)


def test_foreign_and_newer_bundles_are_refused(copy, tmp_path):
    with pytest.raises(BundleError, match="is not a bundle"):
        Bundle.open(tmp_path)
    edit(copy, schema=99)
    with pytest.raises(BundleError, match="Update medanomaly"):
        Bundle.open(copy)
    edit(copy, schema=1, format="other")
    with pytest.raises(BundleError, match="not the card"):
        Bundle.open(copy)
    (copy / "card.json").write_text("{")
    with pytest.raises(BundleError, match="not readable JSON"):
        Bundle.open(copy)


@pytest.mark.parametrize("key", ["reading", "operating_point", "files"])
def test_incomplete_cards_are_refused(copy, key):
    edit(copy, **{key: {}})
    with pytest.raises(BundleError, match=r"incomplete|lists other files"):
        Bundle.open(copy)


def test_export_replaces_a_bundle_and_nothing_else(tiny_run, copy, tmp_path):
    export_run(tiny_run, copy, limit=4)
    assert Bundle.open(copy).card["parity"]["images"] == 4
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    with pytest.raises(ExportError, match="is not a bundle"):
        export_run(tiny_run, other)
    assert (other / "thesis.txt").read_text() == "precious"


def test_export_without_images_for_parity_leaves_nothing(tiny_run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ExportError, match="no image for the parity record"):
        export_run(tiny_run, tmp_path / "bundle", images=empty)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_base_install_runs_a_bundle(tiny_run, tiny_bundle, tmp_path):
    """In a fresh environment with the base install alone: no torch there, same scores."""
    repository = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", repository]
    subprocess.run(install, check=True, capture_output=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "anomalib", "lightning", "pandas", "matplotlib"} & set(listed)
    table = tables.read(tiny_run / "predictions.csv")
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "medanomaly", "infer", tiny_bundle, *table["path"], "--out", tmp_path / "out"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([r["raw_score"] for r in records], table["raw_score"], rtol=1e-4)
    assert [r["decision"] == "abnormal" for r in records] == table["decision"].tolist()
    other = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    decide = [tmp_path / "venv" / "bin" / "medanomaly", "decide", other, "--rule", "conformal:0.1"]
    done = subprocess.run(decide, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Bundle.open(other).card["operating_point"]["rule"] == "conformal"
    told = subprocess.run([tmp_path / "venv" / "bin" / "medanomaly", "train"], capture_output=True, text=True)
    assert told.returncode == 2
    assert "medanomaly[train]" in told.stderr


def test_every_frame_of_a_multi_frame_dicom_gets_a_record(tiny_bundle, tmp_path):
    from tests.imaging import dicom_files

    from medanomaly.edge.batch.infer_inputs import infer

    path = tmp_path / "study.dcm"
    dicom_files.write_dicom(path, np.arange(3 * 40 * 40, dtype=np.uint16).reshape(3, 40, 40), 16, NumberOfFrames=3)
    summary = infer(tiny_bundle, [path], tmp_path / "out")
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert (summary.scored, summary.failed) == (3, 0)
    assert [record["input"].rsplit("#")[1] for record in records] == ["frame=1", "frame=2", "frame=3"]
