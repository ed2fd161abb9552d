"""``medanomaly data check`` finds what was planted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.cli import main
from medanomaly.data.check_data import _auroc, check
from medanomaly.data.image_statistics import IMAGE_STATISTICS

RNG = np.random.default_rng(0)


@pytest.fixture
def tree(tmp_path):
    """Thirty images; 3 = 4 inside train, 7 = 25 across splits, abnormal ones brighter and redder."""
    images = [RNG.integers(0, 120, (24, 20, 3), dtype=np.uint8) for _ in range(30)]
    images[4], images[25] = images[3], images[7]
    lines = ["path,label,group,split"]
    for i, image in enumerate(images):
        split = ("train", "val", "test")[i // 10]
        label = "sick" if i % 2 and split != "train" and i != 25 else "normal"
        if label == "sick":
            image = image + np.array([100, 0, 0], np.uint8)
        write_image(tmp_path / f"{i}.png", image.astype(np.uint8))
        lines.append(f"{i}.png,{label},p{i},{split}")
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "config.yaml").write_text(
        f"data:\n  class_path: medanomaly.data.Table\n  init_args:\n    root: {tmp_path}\n    image_size: 16\n"
    )
    return tmp_path


def names(sets):
    return [sorted(path.rsplit("/", 1)[1] for path, _ in same) for same in sets]


def test_duplicates_leaks_sizes_and_depths(tree):
    report = check(data.Table(root=tree, image_size=16))
    assert names(report.duplicates) == [["3.png", "4.png"], ["25.png", "7.png"]]
    assert names(report.leaks) == [["25.png", "7.png"]]
    assert report.sizes == {"20×24": 30}
    assert report.depths == {"uint8": 30}
    assert not report.ok


def test_one_number_sees_what_gives_the_class_away(tree):
    numbers = check(data.Table(root=tree, image_size=16)).one_number
    assert numbers["redness"]["test"] == 1.0
    assert numbers["mean"]["test, as read"] == 1.0
    assert set(numbers) == {*IMAGE_STATISTICS, "file size"}


def test_auroc_equals_scikit_learn():
    from sklearn.metrics import roc_auc_score

    for _ in range(50):
        values, truth = RNG.integers(0, 6, 40).astype(float), RNG.random(40) < 0.4
        assert _auroc(values, truth) == pytest.approx(roc_auc_score(truth, values))
    assert _auroc(values, np.ones(40, bool)) is None


def test_numbers_mean_what_they_say():
    flat, noise = np.full((64, 64, 3), 0.5, np.float32), RNG.random((64, 64, 3), dtype=np.float32)
    red = flat * np.array([1, 0.5, 0.5], np.float32)
    assert IMAGE_STATISTICS["local contrast"](flat) > IMAGE_STATISTICS["local contrast"](noise)
    assert IMAGE_STATISTICS["sharpness"](noise) > IMAGE_STATISTICS["sharpness"](flat) == 0
    assert IMAGE_STATISTICS["redness"](red) == pytest.approx(np.log(2), abs=0.02)
    corners = flat.copy()
    corners[:16, :16] = 0
    assert IMAGE_STATISTICS["dark corners"](corners) == 0.25


def test_command_tells_and_its_status_says_so(tree, capsys):
    assert main(["data", "check", str(tree / "config.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "ACROSS splits: a leak: 1" in shown
    (tree / "25.png").write_bytes((tree / "24.png").read_bytes())
    assert main(["data", "check", str(tree / "config.yaml"), "--json"]) == 0  # duplicates inside test are no leak
    assert json.loads(capsys.readouterr().out)["ok"] is True
    (tree / "9.png").write_bytes(b"junk")
    assert main(["data", "check", str(tree / "config.yaml")]) == 1
    assert "9.png" in capsys.readouterr().out


def test_masks_that_do_not_fit_and_empty_ones_are_named(tree):
    rows = (tree / "split.csv").read_text().split()
    masks = {"11.png": np.zeros((9, 9), np.uint8), "13.png": np.zeros((24, 20), np.uint8)}
    for name, mask in masks.items():
        write_image(tree / "masks" / name, mask)
    lines = [rows[0] + ",mask"] + [
        f"{row},masks/{n}" if (n := row.split(",")[0]) in masks else f"{row}," for row in rows[1:]
    ]
    (tree / "split.csv").write_text("\n".join(lines) + "\n")
    report = check(data.Table(root=tree, image_size=16))
    assert [path.rsplit("/", 1)[1] for path, _ in report.unreadable] == ["11.png"]
    assert "9×9" in report.unreadable[0][1]
    assert [path.rsplit("/", 1)[1] for path in report.empty_masks] == ["13.png"]


def test_wrong_configurations_are_one_message(tree, capsys):
    assert main(["data", "check", str(tree / "none.yaml")]) == 2
    (tree / "config.yaml").write_text("data:\n  class_path: medanomaly.data.Table\n  init_args:\n    rot: x\n")
    assert main(["data", "check", str(tree / "config.yaml")]) == 2
    assert "rot" in capsys.readouterr().err


@pytest.mark.real
def test_the_planted_facts_of_pneumoniamnist(real_data):
    report = check(data.MedMnist(root=real_data / "pneumoniamnist"))
    assert len(report.leaks) == 8
    assert all({split for _, split in same} == {"train", "val"} for same in report.leaks)
    assert report.one_number["local contrast"]["test"] == pytest.approx(0.92, abs=0.005)


@pytest.mark.real
@pytest.mark.parametrize(("split", "sharp", "dark"), [("main", 0.77, 0.34), ("unseen_capsule", 0.95, 0.62)])
def test_the_shortcuts_of_the_capsule_frames(real_data, split, sharp, dark):
    report = check(data.WirelessCapsule(root=real_data / "wce_bleeding", split=split, image_size=150))
    assert report.ok
    assert report.one_number["sharpness"]["test"] == pytest.approx(sharp, abs=0.015)
    assert report.one_number["dark corners"]["test"] == pytest.approx(dark, abs=0.015)
    assert report.one_number["redness"]["test, as read"] == pytest.approx(0.9, abs=0.015)
