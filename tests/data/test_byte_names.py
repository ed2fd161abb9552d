"""File names that are not UTF-8, as archives of older Windows machines leave them: listed, checked, trained, recorded."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.cli import main
from medanomaly.data.table import digest
from medanomaly.evidence.predictions import read, write

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")


@pytest.fixture
def folder(tmp_path):
    """Images of two classes; the names of half of them are Latin-1."""
    root = tmp_path / "set"
    for i in range(24):
        kind = "abnormal" if i % 3 == 0 else "normal"
        image = RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        file = write_image(root / kind / f"p{i:02d}.png", image)
        if i % 2:
            file.rename(file.with_name(f"p{i:02d}_M\udcfcller.png"))  # the byte FC, which is no UTF-8
    return root


def lines_of(root: Path) -> list[bytes]:
    files = sorted(path for path in root.rglob("*.png"))
    normal = [path for path in files if path.parent.name == "normal"]
    rows = [b"path,label,group,split"]
    for number, path in enumerate(files):
        name = os.fsencode(path.relative_to(root))
        split = b"train" if path in normal[:8] else (b"val", b"test")[number % 2]
        rows.append(b"%s,%s,g%d,%s" % (name, b"normal" if path in normal else b"sick", number, split))
    return rows


def test_a_table_names_them_byte_by_byte(folder):
    (folder / "split.csv").write_bytes(b"\n".join(lines_of(folder)))
    module = data.Table(root=folder, image_size=8)
    module.setup()
    assert sum("\udcfc" in path for path in module.table["image_path"]) == 12
    assert any("bytes of file names" in note for note in module.notes)
    assert all(Path(path).is_file() for path in module.table["image_path"])
    assert len(digest(module.table)) == 64


def test_a_folder_holds_them(folder):
    module = data.Folder(root=folder, image_size=8, synthetic_anomalies="noise:0.2")
    module.setup()
    assert sum("\udcfc" in path for path in module.listed["image_path"]) == 12
    assert len(module.val_data.__getitems__([0, 1]).image) == 2


def test_data_check_says_their_names(folder, capsys, tmp_path):
    twins = sorted((folder / "abnormal").iterdir())[1:3]
    twins[1].write_bytes(twins[0].read_bytes())
    config = tmp_path / "config.yaml"
    config.write_text(f"data:\n  class_path: medanomaly.data.Folder\n  init_args:\n    root: {folder}\n")
    assert main(["data", "check", str(config)]) in (0, 1)
    assert "M\\udcfcller.png" in capsys.readouterr().out
    assert main(["data", "check", str(config), "--json"]) in (0, 1)
    record = json.loads(capsys.readouterr().out)
    assert "M\udcfcller.png" in str(record["duplicates"][0][0][0]) + str(record["duplicates"][0][1][0])


def test_tables_of_a_run_keep_them(tmp_path):
    rows = pd.DataFrame(
        {"path": ["M\udcfcller.png", "Müller.png"], "label": ["normal", "x"], "abnormal": [False, True]}
    )
    write(rows, tmp_path / "predictions.csv")
    assert b"M\xfcller.png" in (tmp_path / "predictions.csv").read_bytes()
    assert read(tmp_path / "predictions.csv")["path"].tolist() == rows["path"].tolist()


def test_a_run_on_them_writes_its_evidence(folder, tmp_path):
    args = [
        "train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
        "--data", "Folder", "--data.init_args.root", str(folder), "--data.init_args.image_size", "16",
        "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
        "--default_root_dir", str(tmp_path / "results"),
    ]  # fmt: skip
    assert main(args) == 0
    out = (tmp_path / "results" / "Autoencoder" / "Folder" / "latest").resolve()
    tested = read(out / "predictions.csv")["path"].tolist() + read(out / "validation.csv")["path"].tolist()
    assert any("\udcfc" in path for path in tested)
    assert all(Path(path).is_file() for path in tested)
    evidence = json.loads((out / "evidence.json").read_text(encoding="utf-8"))
    assert "reason" not in evidence["checks"]["shared_images"]
    (out / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(out)]) == 0
