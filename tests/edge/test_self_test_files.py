"""Files in a bundle's card: an installation that decodes otherwise is refused, and old bundles run."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medanomaly.edge import Detector, video
from medanomaly.edge.bundle import BundleError
from medanomaly.edge.self_test_files import differing, record


def changed(bundle: Path, folder: Path, change) -> Path:
    copy = Path(shutil.copytree(bundle, folder))
    card = json.loads((copy / "card.json").read_text())
    change(card["self_test"])
    (copy / "card.json").write_text(json.dumps(card))
    return copy


def test_the_files_travel_in_the_card_and_are_small(drawn_bundle):
    files = json.loads((drawn_bundle / "card.json").read_text())["self_test"]["files"]
    assert [entry["suffix"] for entry in files] == [".jpg", ".png", ".mp4"]
    assert len(json.dumps(files)) < 12_000
    for entry in files:
        assert np.std(entry["read"]) > 0.05
    assert differing(files) is None


def test_a_bundle_without_files_runs(drawn_bundle, tmp_path):
    assert Detector(changed(drawn_bundle, tmp_path / "older", lambda kept: kept.pop("files"))).self_test()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_file_that_is_read_otherwise_refuses_the_bundle(drawn_bundle, tmp_path, number):
    def darker(kept):
        kept["files"][number]["read"] = [value - 0.02 for value in kept["files"][number]["read"]]

    with pytest.raises(BundleError, match=r"fails its self-test: pixels of a (jpg|png|mp4) file.*OpenCV"):
        Detector(changed(drawn_bundle, tmp_path / "other", darker))


@pytest.mark.parametrize("entry", [{}, {"suffix": ".jpg", "content": "???", "read": []}, {"suffix": ".jpg"}, 7])
def test_a_damaged_entry_is_named(drawn_bundle, tmp_path, entry):
    with pytest.raises(BundleError, match="is incomplete"):
        Detector(changed(drawn_bundle, tmp_path / "damaged", lambda kept: kept.update(files=[entry])))


def test_a_decoder_that_takes_bt709_for_bt601_is_noticed(monkeypatch):
    """As OpenCV 4.10 does: the same YUV through the other matrix."""
    kept = record()
    matrix = {709: (0.2126, 0.0722), 601: (0.299, 0.114)}

    def wrong(path, every=1, skip=lambda _: False):
        for frame in frames(path, every, skip):
            red, blue = matrix[709]
            rgb = frame.pixels.astype(float)
            luma = rgb @ [red, 1 - red - blue, blue]
            cr, cb = (rgb[..., 0] - luma) / (2 * (1 - red)), (rgb[..., 2] - luma) / (2 * (1 - blue))
            red, blue = matrix[601]
            out = np.stack([luma + 2 * (1 - red) * cr, luma, luma + 2 * (1 - blue) * cb], axis=-1)
            out[..., 1] = (luma - red * out[..., 0] - blue * out[..., 2]) / (1 - red - blue)
            yield replace(frame, pixels=out.clip(0, 255).round().astype(np.uint8))

    frames = video.frames
    monkeypatch.setattr(video, "frames", wrong)
    assert "mp4" in differing(kept)


def test_the_clip_has_the_colours_of_bt709(tmp_path):
    clip = next(entry for entry in record() if entry["suffix"] == ".mp4")
    (tmp_path / "a.mp4").write_bytes(base64.b64decode(clip["content"]))
    frame = next(video.frames(str(tmp_path / "a.mp4")))
    found = [frame.pixels[y, x] for y, x in ((8, 8), (8, 24), (24, 8), (24, 24))]
    np.testing.assert_allclose(found, [(160, 25, 20), (60, 180, 60), (40, 40, 200), (128, 128, 128)], atol=3)


def test_where_nothing_can_be_written_the_files_are_passed_over(monkeypatch):
    kept = record()

    def full(**_):
        raise OSError("no room")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    assert differing(kept) is None
