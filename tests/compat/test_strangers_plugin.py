"""Plugins written against the README of 0.1.0, with its import paths, load and run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tests.conftest import write_image
from tests.test_registry import install

DATA = '''
"""Frames of my clinic."""

from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.table import read_csv, split_by_group
from medanomaly.data.listing import images
from medanomaly.evidence.metrics import wilson
from medanomaly.imaging import Reading


class MyClinic(MedicalDataModule):
    folder = "my_clinic"
    expects = "split.csv and the frames it names; ask the archive."

    def samples(self, root):
        return read_csv(root, "split.csv")
'''
MODEL = '''
"""Brightness as a model."""

import torch
from anomalib import LearningType
from anomalib.data import InferenceBatch
from anomalib.models import AnomalibModule
from torch import nn

from medanomaly import ranks
from medanomaly.models.maps import MapScore
from medanomaly.models.module import MedicalModel
from medanomaly.models.positive import positive


class Network(nn.Module):
    def forward(self, image):
        score = positive(image.mean(dim=(1, 2, 3)) * ranks.number())
        return InferenceBatch(pred_score=score, anomaly_map=image.mean(dim=1, keepdim=True))


class Brightness(MedicalModel, AnomalibModule):
    def __init__(self):
        super().__init__()
        self.model = Network()
'''
CODE = """
import torch, medanomaly.data, medanomaly.models
from medanomaly.registry import get
data = medanomaly.data.MyClinic(root="images", image_size=8)
assert get("data", "MyClinic") is type(data)
assert data.table["label"].tolist().count("normal") == 6, data.table
assert medanomaly.data.MyClinic.__module__ == "my_clinic"
network = get("model", "Brightness")
import my_brightness
print(my_brightness.Network()(torch.ones(2, 3, 8, 8)).pred_score.shape)
"""


@pytest.fixture
def site(tmp_path):
    install(tmp_path, "my-clinic", "my_clinic", DATA, "medanomaly.data", "MyClinic = my_clinic:MyClinic")
    install(tmp_path, "my-model", "my_brightness", MODEL, "medanomaly.models", "Brightness = my_brightness:Brightness")
    rows = ["path,label,split,group"]
    for i in range(8):
        name = f"{i}.png"
        write_image(tmp_path / "images" / name, np.full((8, 8), 20 * i + 10, np.uint8))
        label, split = ("normal", ("train", "train", "val", "val", "test", "test")[i]) if i < 6 else ("bad", "test")
        rows.append(f"{name},{label},{split},{i}")
    (tmp_path / "images" / "split.csv").write_text("\n".join(rows))
    return tmp_path


def test_they_load_and_say_which_names_are_old(site):
    done = subprocess.run([sys.executable, "-c", CODE], cwd=site, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("torch.Size([2])")
    for old, new in (
        ("imaging.Reading", "imaging.Preprocessing"),
        ("ranks", "distributed"),
        ("models.maps", "models.error_maps"),
    ):
        assert f"medanomaly.{old} is medanomaly.{new}" in done.stderr.replace("preprocessing.", "")
