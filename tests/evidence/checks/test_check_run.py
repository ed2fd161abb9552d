"""All checks on small runs: a model that looks at red, on drawn squares, and a trained one on the phantom."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.checks import run_checks
from medanomaly.evidence.checks.run_checks import CHECKS
from medanomaly.evidence.checks.trivial_baseline import of_image
from medanomaly.evidence.occlusion_caveat import occlusion
from medanomaly.imaging import Preprocessing
from medanomaly.runs.tested_model import TestedModel


class Red:
    """Scores the highest share of red, as a lightning module would."""

    device = torch.device("cpu")

    def validation_step(self, batch):
        red = batch.image[:, 0] - batch.image[:, 1]
        batch.update(pred_score=torch.nn.functional.avg_pool2d(red[:, None], 3, 1).amax(dim=(1, 2, 3)))
        return batch


def build(root, number: int = 16, corner: bool = False, masks: bool = True):
    """Grey noise, in abnormal images with a red square; ``corner`` darkens theirs, outside the square."""
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split,mask,view"]
    for split in ("train", "val", "test"):
        for i in range(number):
            sick = split != "train" and i % 2 == 1
            image = rng.integers(100, 140, (32, 32, 1), dtype=np.uint8).repeat(3, axis=2)
            mask = ""
            if sick:
                top, left = rng.integers(5, 20, 2)
                image[top : top + 6, left : left + 6] = (200, 40, 40)
                if corner:
                    image[:3, :3] = 20
                if masks:
                    mask = f"mask/{split}{i}.png"
                    marked = np.zeros((32, 32), np.uint8)
                    marked[top : top + 6, left : left + 6] = 255
                    write_image(root / mask, marked)
            write_image(root / f"{split}{i}.png", image)
            lines.append(f"{split}{i}.png,{'sick' if sick else 'normal'},{split}{i},{split},{mask},{'ab'[i // 2 % 2]}")
    (root / "split.csv").write_text("\n".join(lines) + "\n")
    return data.Table(root=root, image_size=32)


def checked(module, model=None, threshold: float | None = 0.2):
    model = model or Red()
    dataset = module.subset("test")
    batch = model.validation_step(dataset.__getitems__(list(range(len(dataset)))))
    scores = batch.pred_score.numpy().astype(float)
    rows = pd.DataFrame(
        {
            "path": dataset.paths,
            "group": dataset.samples["group"],
            "abnormal": dataset.abnormal.numpy(),
            "raw_score": scores,
            "decision": scores > (threshold or 0),
        }
    )
    point = None if threshold is None else {"rule": "manual", "value": threshold, "threshold": threshold, "scale": 0.1}
    return run_checks(module, TestedModel(model), rows, point)


def test_every_check_of_a_sound_run_says_what_is_planted(tmp_path):
    checks = checked(build(tmp_path, 40))
    assert list(checks) == list(CHECKS)
    assert not any("reason" in check for check in checks.values())
    json.dumps(checks, allow_nan=False)
    assert checks["one_number"]["auroc"]["value"] > 0.95
    assert checks["one_number"]["name"] in ("mean", "spread")  # the square is too small for a 95th percentile
    assert checks["field_of_view"]["auroc"]["low"] < 0.6
    covering = checks["covering"]
    assert covering["images"] == covering["flagged"] == covering["flips_back"] == 20
    assert covering["random_flips_back"] == 0
    assert covering["auroc_covered"]["value"] < 0.8 < covering["auroc_random"]["value"]
    assert checks["groups"]["shared"]["train"]["images"] == 0
    assert [column["column"] for column in checks["subgroups"]["columns"]] == ["view"]


class Traced(Red):
    """Sees red, a little of the grey, and above all that pixels are no whole steps of 8 bits: the trace of a fill."""

    def validation_step(self, batch):
        images = batch.image
        batch = super().validation_step(batch)
        trace = ((images * 255 - (images * 255).round()).abs() > 0.02).float().amax(dim=(1, 2, 3))
        batch.update(pred_score=batch.pred_score + images.mean(dim=(1, 2, 3)) + 5 * trace)
        return batch


def test_a_model_that_sees_the_fill_is_judged_by_images_that_are_all_filled(tmp_path):
    check = checked(build(tmp_path, 40), Traced(), threshold=1.0)["covering"]
    assert check["auroc_covered"]["value"] == check["auroc_random"]["value"] == 1.0  # the fill alone holds both up
    part = check["filled"]
    assert (part["images"], part["passed"], part["flagged"]) == (20, 20, 20)
    assert part["auroc"]["value"] == 1.0
    assert part["auroc_covered"]["value"] < 0.8 < part["auroc_random"]["value"]
    said = occlusion({"checks": {"covering": check}})
    assert said["title"] == "The score falls when the lesion is covered"
    assert "The fill itself raises scores" in said["text"]


def test_the_masks_of_normal_images_are_drawn_alike_each_time(tmp_path):
    module = build(tmp_path, 16)
    assert checked(module)["covering"] == checked(module)["covering"]


def test_a_planted_corner_is_found(tmp_path):
    checks = checked(build(tmp_path, 40, corner=True))
    border = checks["field_of_view"]
    rows = {row["name"]: row for row in border["all"]}
    assert border["auroc"]["value"] == 1.0
    assert (rows["top left corner"]["test"], rows["top left corner"]["direction"]) == (0.0, "low")
    assert rows["top left corner"]["settled"]
    assert not rows["bottom right corner"]["settled"]


def test_lesions_at_the_border_are_no_shortcut(tmp_path):
    module = build(tmp_path, 80)
    for path in tmp_path.glob("mask/*"):
        if int(path.stem.strip("tesval")) % 4 == 1:  # half of the lesions are said to reach it
            write_image(path, np.full((32, 32), 255, np.uint8))
    border = checked(module)["field_of_view"]
    assert border["images"] == {"normal": 40, "abnormal": 20}
    assert border["left_out"] == 20
    assert "20 abnormal images whose lesion reaches the border" in border["note"]


def test_without_masks_threshold_or_labels_in_validation(tmp_path):
    checks = checked(build(tmp_path, masks=False), threshold=None)
    assert checks["covering"] == {"reason": "no masks are known"}
    assert checks["one_number"]["chosen_on"] == "test"  # 8 abnormal validation images are too few
    assert "No masks are known" in checks["field_of_view"]["note"]


def test_one_class_and_three_images(tmp_path):
    module = build(tmp_path, 4)
    module.listed.loc[module.listed["split"] == "test", ["abnormal", "label"]] = [False, "normal"]
    checks = checked(module)
    assert checks["one_number"] == {"reason": "there is no abnormal test image"}
    assert checks["field_of_view"] == {"reason": "there is no abnormal test image"}
    assert "reason" in checks["covering"]
    assert checks["overfitting"]["auroc"]["value"] is not None
    three = build(tmp_path / "three", 3)
    assert checked(three)["one_number"]["auroc"]["low"] is None


def test_an_unreadable_image_is_left_out_and_counted(tmp_path):
    module = build(tmp_path, 40)
    module.subset("test").images.fill()
    (tmp_path / "test3.png").write_bytes(b"no image any more")
    checks = checked(module)
    assert checks["one_number"]["left_out"] == 1
    assert checks["one_number"]["images"] == {"normal": 20, "abnormal": 19}


def test_a_model_that_scores_differently_outside_the_test_is_not_judged(tmp_path):
    class Moody(Red):
        def validation_step(self, batch):
            batch = super().validation_step(batch)
            batch.update(pred_score=batch.pred_score + torch.rand(()))
            return batch

    checks = checked(build(tmp_path), Moody())
    assert "other scores for the same images" in checks["covering"]["reason"]


def test_a_broken_or_foreign_data_module_stops_nothing(tmp_path):
    rows = pd.DataFrame({"path": ["a"], "group": ["a"], "abnormal": [True], "raw_score": [1.0], "decision": [True]})
    checks = run_checks(SimpleNamespace(), TestedModel(Red()), rows, None)
    assert set(checks) == set(CHECKS)
    assert all(set(check) == {"reason"} for check in checks.values())
    assert "no sample table" in checks["groups"]["reason"]


def test_the_numbers_are_those_of_the_field_of_view_before_the_intensity_rule():
    image = np.full((40, 60, 3), 100, np.uint8)
    image[:, :10] = 0
    whole, cut = (of_image(image, Preprocessing((8, 8), "minmax", view)) for view in ("none", "crop:0.5"))
    assert whole["sharpness"] > 0
    assert whole["dark corners"] == pytest.approx(0.5)
    assert cut["sharpness"] == 0
    assert cut["mean"] == pytest.approx(100 / 255)
    assert of_image(image, Preprocessing((8, 8), colour="grey"))["redness"] == pytest.approx(0, abs=1e-6)


def test_floats_beyond_one_take_the_intensity_rule():
    image = np.linspace(-1000, 1000, 16 * 16 * 3, dtype=np.float32).reshape(16, 16, 3)
    assert 0 < of_image(image, Preprocessing((8, 8), "minmax"))["mean"] < 1


def test_a_run_of_the_phantom_writes_its_checks(tiny_run):
    evidence = json.loads((tiny_run / "evidence.json").read_text())
    checks = evidence["checks"]
    assert not any("reason" in check for check in checks.values())
    assert checks["covering"]["images"] > 0
    assert checks["overfitting"]["training"] == 48
    again = caveats({key: value for key, value in evidence.items() if key != "caveats"})
    assert again == evidence["caveats"]
