"""The digest of data changes with split, labels and every byte that is read, and with nothing else."""

import os
import shutil

import cv2
import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly import data
from medanomaly.data.dataset_digest import UNUSABLE, changed, content, content_of, digests

CLASS = "medanomaly.data.Table"


@pytest.fixture
def root(tmp_path):
    """Six images of 8 px, one of them abnormal with a mask, an archive's worth of pixels that nobody lists."""
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split,mask"]
    for i, split in enumerate(["train", "train", "val", "val", "test", "test"]):
        label = "sick" if i == 5 else "normal"
        write_image(tmp_path / "set" / "images" / f"{i}.bmp", rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        lines.append(f"images/{i}.bmp,{label},p{i},{split},{'masks/5.bmp' if i == 5 else ''}")
    write_image(tmp_path / "set" / "masks" / "5.bmp", np.full((8, 8), 255, np.uint8))
    (tmp_path / "set" / "split.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "set"


def of(root, **options):
    return content_of(CLASS, {"root": str(root), **options})


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_it_is_the_same_elsewhere_and_for_another_size(root, tmp_path):
    found = of(root)
    assert len(found) == 64
    assert found == content(data.Table(root=root))
    copy = shutil.copytree(root, tmp_path / "elsewhere" / "copy")
    assert of(copy, image_size=16, intensity="minmax", train_batch_size=2) == found
    (root / "notes.txt").write_text("not listed")
    write_image(root / "images" / "other.bmp", np.zeros((8, 8), np.uint8))
    assert of(root) == found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("images/0.bmp,normal,p0,train", "images/0.bmp,normal,p0,test"),  # a patient moved to the test
        ("images/5.bmp,sick,p5", "images/5.bmp,sick,p4"),
        ("images/5.bmp,sick,", "images/5.bmp,worse,"),
        ("images/0.bmp,normal,p0,train,\n", ""),
        ("masks/5.bmp", ""),
    ],
)
def test_a_changed_split_is_another(root, old, new):
    found = of(root)
    edit(root / "split.csv", old, new)
    assert of(root) not in (found, None, UNUSABLE)


@pytest.mark.parametrize("name", ["images/0.bmp", "images/4.bmp", "masks/5.bmp"])
def test_a_changed_pixel_is_another_though_split_size_and_time_stay(root, name):
    found, path = of(root), root / name
    before = path.stat()
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    image[3, 3] = 255 - image[3, 3]
    cv2.imwrite(str(path), image)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert of(root) not in (found, None, UNUSABLE)


def test_archives_and_foreign_images_count(tmp_path):
    rng = np.random.default_rng(0)

    def archive(seed):
        rng = np.random.default_rng(seed)
        arrays = {
            f"{split}_{what}": values
            for split in ("train", "val", "test")
            for what, values in (
                ("images", rng.integers(0, 255, (6, 28, 28), dtype=np.uint8)),
                ("labels", np.array([[0], [0], [0], [1], [1], [1]], np.uint8)),
            )
        }
        np.savez(tmp_path / "pneumoniamnist.npz", **arrays)

    def found(**options):
        return content_of("medanomaly.data.MedMnist", {"root": str(tmp_path), **options})

    archive(0)
    first = found()
    archive(1)
    assert found() not in (first, None, UNUSABLE)
    foreign = write_image(tmp_path / "foreign" / "a.png", rng.integers(0, 255, (28, 28), dtype=np.uint8))
    options = {"synthetic_anomalies": f"foreign:{foreign.parent}"}
    with_foreign = found(**options)
    assert with_foreign != found()
    write_image(foreign, rng.integers(0, 255, (28, 28), dtype=np.uint8))
    assert found(**options) != with_foreign


def test_absent_is_none_and_broken_is_no_digest(root, tmp_path):
    assert of(tmp_path / "nothing") is None
    (root / "images" / "0.bmp").unlink()
    assert of(root) == UNUSABLE


def test_arguments_that_a_class_does_not_take_are_left_out(root):
    assert of(root, layout="mias", fractions=[0.6, 0.2, 0.2]) == of(root)


def test_figures_hold_while_configuration_and_data_are_those_they_were_measured_on(root, tmp_path):
    config = tmp_path / "c.yaml"
    text = f"data:\n  class_path: {CLASS}\n  init_args: {{root: {root}, image_size: 8}}\n"
    config.write_text(text)
    now = digests(config)
    assert changed(now, now) is None
    assert changed({"config_sha256": now["config_sha256"]}, now) == "its data were not recorded"
    config.write_text(f"# a comment\n{text}")
    assert digests(config) == now
    config.write_text(text.replace("image_size: 8", "image_size: 16"))
    assert changed(now, digests(config)) == "the configuration has changed"
    config.write_text(text)
    edit(root / "split.csv", "images/5.bmp,sick,", "images/5.bmp,worse,")
    assert changed(now, digests(config)) == "the data have changed"
    shutil.rmtree(root)
    assert changed(now, digests(config)) is None  # not here: cannot be compared
