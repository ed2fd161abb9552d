"""The checks on anomalib's own data modules: they work, or say in words what they need."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.data import Folder, MVTecAD
from anomalib.engine import Engine
from tests.conftest import write_image
from tests.evidence.checks.test_check_run import Red
from torchvision.transforms.v2 import RandomInvert

from medanomaly.evidence.checks import run_checks
from medanomaly.evidence.checks.run_checks import CHECKS
from medanomaly.evidence.checks.split_images import subset
from medanomaly.runs.tested_model import TestedModel

SIDE = 32


def draw(place, number: int, sick: bool, masks=None) -> None:
    rng = np.random.default_rng(number + sick)
    for i in range(number):
        image = rng.integers(100, 140, (SIDE, SIDE, 1), dtype=np.uint8).repeat(3, axis=2)
        if sick:
            top, left = rng.integers(5, 20, 2)
            image[top : top + 6, left : left + 6] = (200, 40, 40)
            if masks is not None:
                mask = np.zeros((SIDE, SIDE), np.uint8)
                mask[top : top + 6, left : left + 6] = 255
                write_image(masks / f"{i:03}_mask.png", mask)
        write_image(place / f"{i:03}.png", image)


def folder(root, mode: str = "same_as_test", masks: bool = True, **options) -> Folder:
    draw(root / "good", 30, False)
    draw(root / "good_test", 14, False)
    draw(root / "sick", 14, True, root / "masks" if masks else None)
    return Folder(
        name="drawn",
        root=root,
        normal_dir="good",
        normal_test_dir="good_test",
        abnormal_dir="sick",
        mask_dir="masks" if masks else None,
        val_split_mode=mode,
        num_workers=0,
        train_batch_size=8,
        eval_batch_size=8,
        **options,
    )


def mvtec(root) -> MVTecAD:
    draw(root / "bottle" / "train" / "good", 30, False)
    draw(root / "bottle" / "test" / "good", 14, False)
    draw(root / "bottle" / "test" / "broken", 14, True, root / "bottle" / "ground_truth" / "broken")
    return MVTecAD(root=root, category="bottle", num_workers=0, train_batch_size=8, eval_batch_size=8)


def checked(module) -> dict:
    module.setup()
    rows = []
    for batch in module.test_dataloader():
        score = Red().validation_step(batch).pred_score.numpy().astype(float)
        for path, truth, value in zip(batch.image_path, batch.gt_label.tolist(), score, strict=True):
            rows.append((path, path, bool(truth), value, value > 0.2))
    table = pd.DataFrame(rows, columns=["path", "group", "abnormal", "raw_score", "decision"])
    point = {"rule": "manual", "value": 0.2, "threshold": 0.2, "scale": 0.1}
    return run_checks(module, TestedModel(Red()), table, point)


@pytest.mark.parametrize("make", [folder, mvtec])
def test_every_check_that_can_be_made_is_made(tmp_path, make):
    checks = checked(make(tmp_path))
    assert list(checks) == list(CHECKS)
    assert {name for name, check in checks.items() if "reason" in check} == {"groups", "subgroups"}
    assert all("attribute" not in check.get("reason", "") for check in checks.values())
    json.dumps(checks, allow_nan=False)
    assert checks["shared_images"]["validation"]["shared"] == 28
    assert checks["shared_images"]["training"]["shared"] == 0
    assert checks["one_number"]["images"] == {"normal": 14, "abnormal": 14}
    assert checks["one_number"]["chosen_on"] == "validation"
    assert checks["field_of_view"]["note"] == "Without 0 abnormal images whose lesion reaches the border."
    assert checks["covering"]["images"] == checks["covering"]["flips_back"] == 14
    assert checks["covering"]["filled"]["images"] == 14
    assert (checks["overfitting"]["training"], checks["overfitting"]["validation"]) == (30, 14)


def test_without_masks_the_reason_is_in_words(tmp_path):
    checks = checked(folder(tmp_path, masks=False))
    assert checks["covering"] == {"reason": "no masks are known"}
    assert "No masks are known" in checks["field_of_view"]["note"]


def test_a_module_without_validation_still_has_a_border(tmp_path):
    checks = checked(folder(tmp_path, mode="none"))
    assert checks["field_of_view"]["chosen_on"] == checks["one_number"]["chosen_on"] == "test"
    assert "has no val images" in checks["overfitting"]["reason"]


def test_training_images_are_read_without_augmentation(tmp_path):
    module = folder(tmp_path, train_augmentations=RandomInvert(1.0))
    module.setup()
    plain = subset(module, "train").__getitems__([0]).image
    assert torch.allclose(plain, 1 - module.train_data[0].image, atol=1e-6)
    assert isinstance(module.train_data.augmentations, RandomInvert)  # the module itself stays as it was


@pytest.mark.parametrize("whole", [True, False])
def test_a_run_validated_on_its_test_says_so_first(tmp_path, caplog, whole):
    import medanomaly.models as models
    from medanomaly.runs.evidence_writer import EvidenceWriter

    model = models.Autoencoder(stages=2, width=4, seed=0, visualizer=EvidenceWriter(checks=whole))
    options = {"max_epochs": 1, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    engine = Engine(default_root_dir=tmp_path / "run", **options)
    module = folder(tmp_path / "data")
    with caplog.at_level(logging.WARNING):
        engine.fit(model, datamodule=module)
        engine.test(model, datamodule=module)
    title = "The test shares images with validation"
    assert title in caplog.text
    (file,) = (tmp_path / "run").rglob("evidence.json")
    evidence = json.loads(file.read_text())
    assert evidence["caveats"][0]["title"] == title
    assert "28 of 28 test images are validation images too (28 as the same file)" in evidence["caveats"][0]["text"]
    page = (file.parent / "report.html").read_text()
    assert title in page
    assert page.index(title) < page.index("Figures</h2>")
    assert ("overfitting" in evidence["checks"]) == whole
