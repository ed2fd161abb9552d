"""No byte of a bundle holds a path of the machine that trained it, or a patient's name, however well packed."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.conftest import write_image
from tests.planted import NAME, PATIENT_ID, planted_below, planted_in

import medanomaly
from medanomaly.data.cache_files import part_of, sweep
from medanomaly.export import export_run
from medanomaly.export.privacy import names_of, without_errors, without_folders, without_names
from medanomaly.training.command_line import run


@pytest.fixture(scope="module")
def patients(tmp_path_factory) -> Path:
    """Folders and files called by patients: drawn frames of 32 px."""
    root, noise = tmp_path_factory.mktemp("data") / f"ward {NAME}", np.random.default_rng(0)
    for i in range(40):
        frame = noise.integers(60, 90, (32, 32, 3)).astype(np.uint8)
        write_image(root / "normal" / f"{NAME} {i // 2:02d}" / f"{NAME}-{PATIENT_ID}-{i:03d}.png", frame)
        if i < 16:
            frame[8:20, 8:20] = 250
            write_image(root / "abnormal" / "lesion" / f"{NAME} {i:03d}.png", frame)
    (root / "normal" / f".{NAME}").write_bytes(b"")
    (root / "normal" / f"scan.{NAME.lower()}").write_bytes(b"")
    (root / "normal" / "scan.quuxine").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def trained(patients, tmp_path_factory) -> Path:
    """A run on them, in a folder that is called so too; its log at ``info`` lies beside its results."""
    results = tmp_path_factory.mktemp("trained") / f"results {NAME}"
    log = logging.FileHandler(results.parent / "log")
    logging.getLogger().addHandler(log)
    with_info = [logging.getLogger(name) for name in ("medanomaly", "medanomaly_folder")]
    before = [logger.level for logger in with_info]
    for logger in with_info:
        logger.setLevel(logging.INFO)
    status = run(
        [
            "train",
            "--model", "Autoencoder",
            "--model.init_args.stages", "3",
            "--model.init_args.width", "8",
            "--model.init_args.smooth", "3",
            "--data", "Folder",
            "--data.init_args.root", str(patients),
            "--data.init_args.image_size", "32",
            "--trainer.max_epochs", "1",
            "--trainer.logger", "false",
            "--trainer.enable_progress_bar", "false",
            "--default_root_dir", str(results),
        ]
    )  # fmt: skip
    logging.getLogger().removeHandler(log)
    for logger, level in zip(with_info, before, strict=True):
        logger.setLevel(level)
    assert status == 0
    return (results / "Autoencoder" / "Folder" / "latest").resolve()


def test_no_byte_of_a_bundle_holds_the_name_or_a_path(trained, patients, tmp_path):
    """Also where the run's evidence does, as it may: an option, a note, a check that broke, a caveat."""
    folder = tmp_path / f"run {NAME}"
    shutil.copytree(trained, folder)
    evidence = json.loads((folder / "evidence.json").read_text())
    image = next(patients.rglob("*.png"))
    evidence["run"]["options"]["weights"] = f"/home/{NAME}/weights/net.safetensors"
    evidence["data"]["notes"] = [f"Column 'group': '{NAME}.0' (3 images) taken for '{NAME}'."]
    evidence["checks"]["covering"] = {"reason": f"ImageError: {image}: is truncated ({NAME})."}
    evidence["caveats"].append({"severity": "note", "title": "One", "text": f"{image} and {image.name} differ."})
    (folder / "evidence.json").write_text(json.dumps(evidence))
    assert planted_below(folder), "the run's own records hold it"
    bundle = tmp_path / "bundle"
    card = export_run(folder, bundle, images=patients, onnx=True)
    assert not planted_below(bundle)
    here = [
        str(place) for place in (Path(medanomaly.__file__).parent, Path.home(), tmp_path, sysconfig.get_path("purelib"))
    ]
    for path in bundle.iterdir():
        data = path.read_bytes()
        assert not [place for place in [*here, "site-packages", '.py"', sys.prefix] if place.encode() in data], (
            path.name
        )
    model = onnx.load(bundle / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert card["model"]["options"]["weights"] == "net.safetensors"
    assert card["checks"]["covering"] == {"reason": "ImageError"}
    assert card["caveats"][-1]["text"] == "… and … differ."


def test_the_log_at_info_names_no_patient(trained, patients, caplog):
    text = (trained.parents[3] / "log").read_text()
    assert (
        "A folder of the data: Passed over: 1 file or folder of the system, or hidden, 2 files of other kinds." in text
    )
    assert not planted_in(text)
    part = part_of(patients)
    os.utime(part, (0, 0))
    with caplog.at_level(logging.INFO, "medanomaly"):
        sweep(patients)
    assert f"{part.name} in the cache was never finished" in caplog.text
    assert not part.exists()
    assert not planted_in(caplog.text)


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        ("/home/Doe/net.safetensors", "net.safetensors"),
        (r"C:\Users\Doe\net.safetensors", "net.safetensors"),
        (r"\\server\Doe\net.safetensors", "net.safetensors"),
        ("Doe/net.safetensors", "net.safetensors"),
        ("~/Doe/", "Doe"),
        ("tf_efficientnet_lite0", "tf_efficientnet_lite0"),
        ({"a": ["/Doe/x.pt", 3, None, 0.5]}, {"a": ["x.pt", 3, None, 0.5]}),
    ],
)
def test_an_option_that_is_a_path_keeps_its_last_part(option, kept):
    assert without_folders(option) == kept


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("no masks are known", "no masks are known"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/Doe/x.png'", "FileNotFoundError"),
        ("pydicom.errors.InvalidDicomError: Doe\nDoe", "pydicom.errors.InvalidDicomError"),
    ],
)
def test_of_a_check_that_broke_the_kind_of_its_error_is_kept(reason, kept):
    assert without_errors({"reason": reason, "n": 1}) == {"reason": kept, "n": 1}


def test_names_are_those_of_the_runs_files(trained, patients):
    names = names_of(trained, {"root": str(patients), "deep": [{"mask": "some/masks"}], "normal_dir": "normal"})
    assert {str(patients), "some/masks", str(trained)} <= names
    assert any(name.startswith(f"{NAME}-{PATIENT_ID}-") for name in names)
    assert "normal" not in names
    record = {"a": [{"b": f"of {patients}/x"}], "c": 1.5, "normal": "normal"}
    assert without_names(record, names) == {"a": [{"b": "of …/x"}], "c": 1.5, "normal": "normal"}
    assert not planted_in(json.dumps(without_names(record, names)))
