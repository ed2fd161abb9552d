"""Both checks measure the pixels that the model sees, and tell duplicates by what is stored."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

import medanomaly.data as data
from medanomaly.data.check_data import check, show
from medanomaly.data.image_statistics import IMAGE_STATISTICS
from medanomaly.data.measured_pixels import digest, shallow, stored
from medanomaly.evidence.checks import shared_images, trivial_baseline
from medanomaly.evidence.checks.context import Context
from medanomaly.imaging import Preprocessing
from medanomaly.imaging.decode import read
from medanomaly.imaging.decoded_image import DecodedImage

CT = "1.2.840.10008.5.1.4.1.1.2"
SPLITS = ("train", "val", "test")


def lungs(root, number: int = 60, **header):
    """CT of air at -800 HU with noise; abnormal ones hold a block at -300 HU. The file's window shows neither."""
    rng = np.random.default_rng(0)
    header = {"WindowCenter": "40", "WindowWidth": "400", "SOPClassUID": CT, **header}
    lines = ["path,label,group,split"]
    for i in range(number):
        split = SPLITS[i * 3 // number]
        sick = split != "train" and i % 2
        values = -800 + rng.integers(-9, 10, (24, 24)).astype(np.int16)
        if sick:
            values[6:14, 6:14] = -300
        write_dicom(root / f"{i}.dcm", values.astype(np.int16), 16, **header)
        lines.append(f"{i}.dcm,{'sick' if sick else 'normal'},p{i},{split}")
    (root / "split.csv").write_text("\n".join(lines) + "\n")
    return root


def context_of(module, split: str = "test") -> Context:
    rows = module.table[module.table["split"] == split]
    rows = rows.rename(columns={"image_path": "path"})[["path", "group", "abnormal"]]
    return Context(module, None, rows.assign(raw_score=np.arange(len(rows), dtype=float)), None)


RULES = ["window:-600,1500", "window:-550,100", "minmax", "percentile:1,99", "equalise"]


@pytest.mark.parametrize("header", [{}, {"WindowWidth": "1", "VOILUTFunction": "LINEAR"}], ids=["window", "step"])
@pytest.mark.parametrize("rule", RULES)
def test_a_window_that_hides_the_lesion_hides_it_from_no_check(tmp_path, rule, header):
    module = data.Table(root=lungs(tmp_path, **header), image_size=12, intensity=rule)
    report = check(module)
    assert report.duplicates == []
    assert report.ok
    assert report.one_number["mean"]["test"] == report.one_number["spread"]["test"] == 1.0
    found = trivial_baseline.check(context_of(module))
    by_name = {row["name"]: row["test"] for row in found["all"]}
    assert by_name["mean"] == by_name["spread"] == 1.0
    assert found["auroc"]["value"] == 1.0
    seen = {name + trivial_baseline.SCALED for name in IMAGE_STATISTICS}
    assert seen <= set(by_name)


@pytest.mark.parametrize("rule", [*RULES, "dtype", "contrast:3"])
@pytest.mark.parametrize("view", ["none", "crop:0.5"])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_as_read_is_what_the_model_gets(tmp_path, rule, view, colour):
    root = lungs(tmp_path, 12)
    module = data.Table(root=root, image_size=8, intensity=rule, field_of_view=view, colour=colour)
    told = check(module).one_number
    rows = module.table[module.table["split"] == "test"]
    reading = Preprocessing((8, 8), rule, view, colour)
    for name, number in IMAGE_STATISTICS.items():
        values = np.array([number(reading.load(path)) for path in rows["image_path"]])
        sick = rows["abnormal"].to_numpy()
        pairs = values[sick][:, None] - values[~sick][None]
        assert told[name]["test, as read"] == pytest.approx(float(((pairs > 0) + 0.5 * (pairs == 0)).mean()))


def test_a_large_jpeg_is_measured_as_it_is_read(tmp_path):
    rng = np.random.default_rng(1)
    for i in range(6):
        write_image(tmp_path / f"{i}.jpg", rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    rows = {"path": [f"{i}.jpg" for i in range(6)], "label": ["normal"] * 5 + ["sick"], "group": list("abcdef")}
    pd.DataFrame({**rows, "split": ["train", "val", *["test"] * 4]}).to_csv(tmp_path / "split.csv", index=False)
    module = data.Table(root=tmp_path, image_size=8)
    told = check(module).one_number["sharpness"]["test, as read"]
    values = [IMAGE_STATISTICS["sharpness"](Preprocessing((8, 8)).load(tmp_path / f"{i}.jpg")) for i in range(2, 6)]
    assert told == np.mean([values[3] > value for value in values[:3]])


def test_numbers_of_ordinary_images_are_those_of_before(tmp_path):
    image = np.random.default_rng(2).integers(0, 200, (20, 30, 3), dtype=np.uint8)
    path = write_image(tmp_path / "a.png", image)
    for rule in ("dtype", "chroma", "haemoglobin", "contrast:5"):
        found = trivial_baseline.of_image(read(path), Preprocessing((8, 8), rule))
        assert found == {name: number(image.astype(np.float32) / 255) for name, number in IMAGE_STATISTICS.items()}
    found = trivial_baseline.of_image(image, Preprocessing((8, 8), "minmax"))
    assert found["mean"] == IMAGE_STATISTICS["mean"](image.astype(np.float32) / 255)
    scaled = (image.astype(np.float32) - image.min()) / (float(image.max()) - float(image.min()))
    assert found["mean (as scaled)"] == pytest.approx(IMAGE_STATISTICS["mean"](scaled), abs=1e-6)


def test_equal_values_under_other_windows_are_one_picture(tmp_path):
    root = lungs(tmp_path)
    values = np.full((24, 24), -700, np.int16)
    values[3:9, 3:9] = -900
    for number, centre in ((0, "40"), (59, "-600")):  # train and test
        header = {"WindowCenter": centre, "WindowWidth": "1500", "SOPClassUID": CT}
        write_dicom(root / f"{number}.dcm", values, 16, **header)
    for rule in ("dtype", "window:-600,1500"):
        report = check(data.Table(root=root, image_size=12, intensity=rule))
        assert [sorted(path.rsplit("/", 1)[1] for path, _ in same) for same in report.leaks] == [["0.dcm", "59.dcm"]]
        assert not report.ok
    module = data.Table(root=root, image_size=12, intensity="window:-600,1500")
    context = context_of(module)
    context.predictions["raw_score"] = 0.0
    assert shared_images.check(context)["training"]["by_pixels"] == 1


def test_different_images_that_a_window_makes_equal_are_not_shared(tmp_path):
    context = context_of(data.Table(root=lungs(tmp_path), image_size=12))
    context.predictions["raw_score"] = 0.0
    found = shared_images.check(context)
    assert found["training"]["decoded"] > 0
    assert found["training"]["shared"] == found["validation"]["shared"] == 0


def test_one_picture_in_another_container_is_the_same():
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 255, (9, 9), dtype=np.uint8)
    one = digest(stored(DecodedImage.of(grey)))
    assert one == digest(stored(DecodedImage.of(np.repeat(grey[:, :, None], 3, axis=2))))
    assert one == digest(stored(DecodedImage.of(grey.astype(np.uint16))))
    assert one != digest(stored(DecodedImage.of(grey.T.copy())))
    assert one != digest(stored(DecodedImage(grey, (0.0, 255.0), (9, 9), inverted=True)))
    assert one != digest(stored(DecodedImage.of(grey[:, :, None] * np.array([1, 1, 0], np.uint8))))
    assert digest(stored(DecodedImage.of(np.full((5, 5), 7, np.uint8)))) is None


def test_blank_images_are_nobody_s_twins(tmp_path):
    root = lungs(tmp_path, 12)
    for number in (0, 11):
        write_dicom(root / f"{number}.dcm", np.full((24, 24), -800, np.int16), 16, SOPClassUID=CT)
    report = check(data.Table(root=root, image_size=12, intensity="window:-600,1500"))
    assert report.duplicates == []
    assert len(report.blank) == 2


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.arange(4096, dtype=np.uint16).reshape(64, 64), True),
        (np.arange(4096, dtype=np.uint16).reshape(64, 64) + 60000, True),
        (np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16, False),
        (np.arange(4096, dtype=np.uint16).reshape(64, 64) * 2, False),
        (np.arange(4096).reshape(64, 64).astype(np.uint8) // 20, False),  # 8 bits
        ((np.arange(4096) / 1e5).reshape(64, 64).astype(np.float32), False),  # floats declare no depth
    ],
)
def test_a_depth_that_is_hardly_used_is_seen(pixels, found):
    assert shallow(DecodedImage.of(pixels)) is found


def test_a_dead_pixel_does_not_fill_a_depth():
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    pixels[5, 5] = 65535
    assert shallow(DecodedImage.of(pixels))


@pytest.mark.parametrize("kind", ["png", "tif", "pgm", "dcm"])
def test_data_check_warns_of_twelve_bits_in_sixteen(tmp_path, kind):
    rng = np.random.default_rng(4)
    rows = []
    for i, split in enumerate(("train", "val", "test", "test")):
        pixels = rng.integers(0, 4096, (24, 24)).astype(np.uint16) * (16 if i == 3 else 1)
        if kind == "dcm":
            write_dicom(tmp_path / f"{i}.dcm", pixels, 16, SOPClassUID=CT)
        else:
            write_image(tmp_path / f"{i}.{kind}", pixels)
        rows.append((f"{i}.{kind}", "sick" if i == 3 else "normal", i, split))
    pd.DataFrame(rows, columns=["path", "label", "group", "split"]).to_csv(tmp_path / "split.csv", index=False)
    for rule, number in (("dtype", 3), ("contrast:3", 3), ("minmax", 0), ("window:2048,4096", 0)):
        report = check(data.Table(root=tmp_path, image_size=12, intensity=rule))
        assert len(report.shallow) == number
        assert report.ok
        out = Console(file=StringIO(), width=100)
        show(report, out)
        assert ("less than a tenth of their depth" in " ".join(out.file.getvalue().split())) == bool(number)


def test_names_are_text_and_no_markup(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"[bold]{i}.png", np.random.default_rng(i % 2).integers(0, 255, (8, 8), dtype=np.uint8))
    rows = [(f"[bold]{i}.png", "[/red] :x:" if i else "normal", i, SPLITS[i]) for i in range(3)]
    pd.DataFrame(rows, columns=["path", "label", "group", "split"]).to_csv(tmp_path / "split.csv", index=False)
    out = Console(file=StringIO(), width=200)
    show(check(data.Table(root=tmp_path, image_size=8)), out)
    text = out.file.getvalue()
    assert "[/red] :x:" in text
    assert "[bold]0.png" in text


def test_a_plugin_that_decodes_itself_is_measured_by_its_own_pixels(tmp_path):
    class Turned(data.Table):
        def decode(self, image_path: str) -> np.ndarray:
            return 255 - super().decode(image_path)

    for i in range(4):
        write_image(tmp_path / f"{i}.png", np.random.default_rng(i).integers(0, 50 + 100 * (i == 3), (8, 8), np.uint8))
    rows = [
        (str(tmp_path / f"{i}.png"), "sick" if i == 3 else "normal", i, ("train", "val", "test", "test")[i])
        for i in range(4)
    ]
    pd.DataFrame(rows, columns=["path", "label", "group", "split"]).to_csv(tmp_path / "split.csv", index=False)
    module = Turned(root=tmp_path, image_size=8)
    assert check(module).one_number["mean"] == {"test": 0.0, "test, as read": 0.0, "all": 0.0}
    module.setup()
    assert torch.equal(
        module.test_data.__getitems__([1]).image[0, 0],
        torch.from_numpy((255 - read(tmp_path / "3.png").pixels).astype(np.float32) / 255),
    )
