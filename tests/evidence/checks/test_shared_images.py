"""Images of the test that validation or training saw are noticed, whatever they are called."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image
from tests.evidence.checks.test_check_run import Red, build

from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.checks import run_checks, shared_images
from medanomaly.evidence.checks.shared_images import Listed, compare, digest_of
from medanomaly.evidence.shared_images_caveat import shared_images as caveat
from medanomaly.report import check_cards
from medanomaly.report.checklist import filled
from medanomaly.report.page import completed
from medanomaly.runs.tested_model import TestedModel


@pytest.fixture
def files(tmp_path):
    """Ten images of noise, by number."""
    rng = np.random.default_rng(0)
    return [
        str(write_image(tmp_path / f"{i}.png", rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))) for i in range(10)
    ]


def found(record: dict) -> tuple[int, int, int]:
    assert record["shared"] == record["by_address"] + record["by_file"] + record["by_pixels"]
    return record["by_address"], record["by_file"], record["by_pixels"]


def test_one_file_has_many_addresses(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.png").symlink_to(files[1])
    (tmp_path / "hard.png").hardlink_to(files[2])
    other = ["0.png", str(tmp_path / "link.png"), str(tmp_path / "hard.png"), files[9]]
    assert found(compare(Listed(files[:9]), Listed(other))) == (2, 1, 0)


def test_a_copy_is_told_by_its_bytes_and_a_file_of_equal_size_is_none(tmp_path):
    rng = np.random.default_rng(0)
    content = rng.integers(0, 256, 50_000, dtype=np.uint8)
    near = content.copy()
    near[20_000] += 1  # between the pieces that are looked at first
    names = [str(tmp_path / name) for name in ("a.bin", "copy.bin", "near.bin", "empty.bin", "nothing.bin")]
    for name, one in zip(names, (content, content, near, content[:0], content[:0]), strict=True):
        one.tofile(name)
    assert found(compare(Listed([names[0], names[3]]), Listed([names[1], names[4]]))) == (0, 1, 0)
    assert found(compare(Listed([names[0]]), Listed([names[2]]))) == (0, 0, 0)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_pixels_written_anew_are_the_same_image(files, tmp_path, suffix):
    image = cv2.imread(files[3])
    again = tmp_path / f"again{suffix}"
    cv2.imwrite(str(again), image, [cv2.IMWRITE_PNG_COMPRESSION, 0] if suffix == ".png" else [])
    assert found(compare(Listed(files), Listed([str(again)]))) == (0, 0, 1)
    cv2.imwrite(str(again), image ^ 1)
    assert found(compare(Listed(files), Listed([str(again)]))) == (0, 0, 0)


def test_blank_images_and_unreadable_ones_are_nobodys(tmp_path):
    black = [str(write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))) for name in ("a.png", "b.bmp")]
    (tmp_path / "no.png").write_bytes(b"no image")
    torn = str(tmp_path / "no.png")
    assert found(compare(Listed([*black[:1], torn, "lost.png"]), Listed([*black[1:], "gone.png"]))) == (0, 0, 0)


def test_addresses_inside_of_archives_go_through_the_data_modules_decoder():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    digest = digest_of(lambda address: images[int(address.split("#")[1]) % 5])  # 5 is 0 again
    test, other = [f"set.npz#{i}" for i in (0, 1, 2)], [f"set.npz#{i}" for i in (2, 3, 5)]
    assert found(compare(Listed(test), Listed(other), digest)) == (1, 0, 1)


def test_images_of_other_scores_are_not_decoded():
    asked: list[str] = []

    def digest(path: str) -> str:
        asked.append(path)
        return path.split("-")[1]

    rng = np.random.default_rng(0)
    scores = rng.normal(size=2000)
    test = Listed([f"t-{i}" for i in range(1000)], scores=scores[:1000])
    other = Listed([f"v-{1000 + i}" for i in range(1000)], scores=scores[1000:])
    other.paths[7], other.scores[7] = "v-42", scores[42] * (1 + 1e-7)  # equal pixels, but for rounding
    record = compare(test, other, digest)
    assert found(record) == (0, 0, 1)
    assert record["decoded"] == len(asked) <= 1000
    alike = compare(Listed(test.paths), Listed(other.paths), digest)  # no scores: a sample of either
    assert alike["decoded"] == 1000


def test_groups_count_where_they_are_known():
    test = Listed(["a", "b", "c", "d"], ["p1", "p2", "c", ""])
    other = Listed(["a", "e", "f", "c2"], ["p1", "p2", "f", ""])
    record = compare(test, other, lambda path: path)
    assert (record["shared"], record["by_group"]) == (1, 1)


def tables(module) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and validation as the run's files hold them, with the scores of the red model."""
    both = []
    for split in ("test", "val"):
        data = module.subset(split)
        score = Red().validation_step(data.__getitems__(list(range(len(data))))).pred_score.numpy().astype(float)
        both.append(
            pd.DataFrame(
                {
                    "path": data.paths, "group": data.samples["group"], "abnormal": data.abnormal.numpy(),
                    "raw_score": score, "decision": score > 0.2,
                }
            )
        )  # fmt: skip
    return both[0], both[1]


def test_a_sound_split_shares_nothing(tmp_path):
    predictions, validation = tables(build(tmp_path))
    checks = run_checks(
        build(tmp_path), TestedModel(Red()), predictions, None, validation=validation, names=("shared_images",)
    )
    assert list(checks) == ["shared_images"]
    record = checks["shared_images"]
    assert record["images"] == record["validation"]["images"] == record["training"]["images"] == 16
    assert record["validation"]["shared"] == record["training"]["shared"] == 0
    assert caveat({"checks": checks}) is None
    assert check_cards.check_cards(checks, {}, True)[0]["state"] == "good"


def test_copies_in_validation_and_training_are_one_warning_at_the_top(tmp_path):
    build(tmp_path)
    shutil.copy(tmp_path / "test3.png", tmp_path / "val3.png")
    image = cv2.imread(str(tmp_path / "test4.png"))
    cv2.imwrite(str(tmp_path / "val4.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    shutil.copy(tmp_path / "test6.png", tmp_path / "train0.png")
    import medanomaly.data as data

    module = data.Table(root=tmp_path, image_size=32)
    predictions, validation = tables(module)
    checks = run_checks(
        module, TestedModel(Red()), predictions, None, validation=validation, names=("shared_images", "groups")
    )
    record = checks["shared_images"]
    assert found(record["validation"]) == (0, 1, 1)
    assert found(record["training"]) == (0, 1, 0)
    said = caveat({"checks": checks, "operating_point": {"rule": "quantile"}})
    assert (said["severity"], said["title"]) == ("warning", "The test shares images with training and validation")
    assert (
        "2 of 16 test images are validation images too (1 as a copy of the file and 1 by equal pixels)" in said["text"]
    )
    assert "1 of 16 test images are training images too" in said["text"]
    assert "sensitivity and specificity flatter" in said["text"]
    told = check_cards.check_cards(checks, {}, True)[0]
    assert (told["state"], told["title"]) == ("bad", "Were test images seen before the test?")


def evidence_of(record: dict, **changes) -> dict:
    from tests.report_parts import evidence_record

    evidence = {**evidence_record(), "checks": {"shared_images": record}, **changes}
    evidence.pop("caveats")
    return completed({**evidence, "caveats": []})


SAME = {"images": 120, "shared": 120, "by_address": 120, "by_file": 0, "by_pixels": 0, "by_group": 0, "decoded": 0}


def test_the_caveat_comes_before_all_others_and_the_checklist_does_not_deny_it():
    evidence = evidence_of({"images": 120, "validation": SAME, "training": None})
    found = caveats(evidence)
    assert found[0]["title"] == "The test shares images with validation"
    assert "120 of 120 test images" in found[0]["text"]
    assert "same_as_test" in found[0]["text"]
    assert len([one for one in found if one["severity"] == "warning"]) > 1
    answers = " ".join(str(row) for row in filled(evidence))
    assert "of which 120 are tested too" in answers
    learned = evidence_of({"images": 120, "validation": None, "training": {**SAME, "shared": 3}})
    answers = " ".join(str(row) for row in filled(learned))
    assert "3 of which training saw" in answers
    assert "that training did not see" not in answers


def test_groups_are_named_here_where_no_table_tells_them():
    apart = {**SAME, "shared": 0, "by_address": 0, "by_group": 9}
    record = {"images": 120, "validation": apart, "training": None}
    assert (
        "9 of 120 test images are of groups (patients) that validation holds too"
        in caveat({"checks": {"shared_images": record}})["text"]
    )
    none = {"groups": 0, "images": 0}
    by_table = {"shared": {"train": none, "val": none}, "test_groups": 9, "examples": []}
    assert caveat({"checks": {"shared_images": record, "groups": by_table}}) is None


def test_synthetic_anomalies_are_not_the_image_they_are_made_from(tmp_path):
    build(tmp_path)
    import medanomaly.data as data

    module = data.Table(root=tmp_path, image_size=32, synthetic_anomalies="noise:0.2")
    predictions, validation = tables(module)
    record = run_checks(module, TestedModel(Red()), predictions, None, validation=validation)["shared_images"]
    assert record["images"] == 16
    assert record["validation"]["images"] == 16
    assert record["validation"]["shared"] == 0


def test_without_validation_and_training_there_is_a_reason():
    rows = pd.DataFrame({"path": ["a"], "group": ["a"], "abnormal": [True], "raw_score": [1.0], "decision": [True]})
    assert run_checks(SimpleNamespace(), TestedModel(Red()), rows, None, names=("shared_images",))["shared_images"] == {
        "reason": "neither validation nor training images are known"
    }
    only = run_checks(SimpleNamespace(), TestedModel(Red()), rows, None, validation=rows, names=("shared_images",))[
        "shared_images"
    ]
    assert only["training"] is None
    assert only["validation"]["by_address"] == 1
    assert shared_images.MOST == 500
