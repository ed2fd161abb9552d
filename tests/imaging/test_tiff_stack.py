"""Many pictures in one TIFF: each once, all of them, and each as fast as in a file of few."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import tifffile
from tests.imaging.tiff_files import COLOUR, GREY, write

from medanomaly.imaging import ImageError, Preprocessing, decode, frames


def stacked(number: int, shape: tuple[int, int] = (16, 20), kind: str = "uint16") -> np.ndarray:
    return (np.arange(number)[:, None, None] + np.arange(shape[0] * shape[1]).reshape(shape)).astype(kind)


@pytest.mark.parametrize(
    "options",
    [{}, {"truncate": True}, {"imagej": True}, {"imagej": True, "truncate": True}, {"compression": "lzw"},
     {"bigtiff": True}, {"bigtiff": True, "truncate": True}],
)  # fmt: skip
def test_every_picture_of_a_stack_is_found(tmp_path, options):
    pictures = stacked(7)
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, pictures, **{} if "imagej" in options else {"photometric": "minisblack"}, **options)
    addresses = frames(path)
    assert addresses == [f"{path}#frame={number}" for number in range(1, 8)]
    for address, picture in zip(addresses, pictures, strict=True):
        np.testing.assert_array_equal(decode(address)[:, :, 0], picture)
    with pytest.raises(ImageError, match="7 pages"):
        decode(path)
    with pytest.raises(ImageError, match="no frame 8"):
        decode(f"{path}#frame=8")


def test_a_stack_cut_short_is_no_shorter_stack(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, stacked(7), imagej=True, truncate=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 2 * 16 * 20 * 2])
    with pytest.raises(ImageError, match=r"s\.tif.*7 pictures and holds 5"):
        frames(path)


def test_one_picture_saved_with_the_description_of_its_stack(tmp_path):
    path = write(tmp_path / "one.tif", GREY, description="ImageJ=1.53t\nimages=12\n", metadata=None)
    assert frames(path) == [str(path)]
    np.testing.assert_array_equal(decode(path)[:, :, 0], GREY)


def test_a_file_that_changes_is_searched_again(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, stacked(3), photometric="minisblack")
    assert len(frames(path)) == 3
    tifffile.imwrite(path, stacked(5), photometric="minisblack")
    assert len(frames(path)) == 5


def test_directories_are_walked_once_a_file(tmp_path, monkeypatch):
    from medanomaly.imaging import tiff_directory as directory
    from medanomaly.imaging import tiff_stack as stack

    read: list[int] = []

    class Counted(directory.Directory):
        def __init__(self, source, form, place):
            read.append(place)
            super().__init__(source, form, place)

    for module in (directory, stack):
        monkeypatch.setattr(module, "Directory", Counted)
    for number in (10, 100):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, stacked(number), photometric="minisblack")
        read.clear()
        for address in frames(path):
            decode(address)
        assert len(read) == 2 * number  # once to find it, once to read it


def test_no_more_is_read_of_a_file_than_the_picture(tmp_path, monkeypatch):
    from medanomaly.imaging import tiff_directory as directory

    taken: list[int] = []
    original = directory.Source.take

    def counted(self, place, length):
        taken.append(length)
        return original(self, place, length)

    monkeypatch.setattr(directory.Source, "take", counted)
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, stacked(200, (64, 64)), photometric="minisblack")
    frames(path)
    taken.clear()
    decode(f"{path}#frame=150")
    assert sum(taken) < 2 * 64 * 64 + 1000


def test_a_frame_of_two_thousand_takes_as_long_as_one_of_25(tmp_path):
    reading, seconds = Preprocessing((32, 32)), {}
    for number in (25, 2000):
        tifffile.imwrite(tmp_path / f"{number}.tif", stacked(number, (64, 64)), photometric="minisblack")
    for number, repeat in ((25, 10), (2000, 1), (25, 10), (2000, 1)):  # the least of two
        start = time.process_time()
        for turn in range(repeat):
            os.utime(tmp_path / f"{number}.tif", (turn, turn))  # another file, as far as anyone can tell
            for address in frames(tmp_path / f"{number}.tif"):
                reading.load(address)
        took = (time.process_time() - start) / number / repeat
        seconds[number] = min(took, seconds.get(number, took))
    assert seconds[2000] <= 1.3 * seconds[25], seconds


@pytest.mark.parametrize(("about", "maker"), [("Aperio Image Library v11.2.1", "Aperio SVS")])
def test_a_whole_slide_is_named(tmp_path, about, maker):
    path = tmp_path / "slide.svs"
    with tifffile.TiffWriter(path) as file:
        for step in (1, 2, 4):
            file.write(COLOUR[::step, ::step], photometric="rgb", tile=(16, 16), description=about, metadata=None)
    with pytest.raises(ImageError, match=rf"slide\.svs.*whole slide \({maker}\)"):
        decode(path)
    np.testing.assert_array_equal(decode(f"{path}#frame=1"), COLOUR)


def test_a_slide_beyond_all_limits_says_what_to_do(tmp_path):
    from tests.imaging.tiff_files import retag

    path = write(tmp_path / "slide.svs", COLOUR, description="Aperio Image Library", metadata=None)
    for tag in (256, 257):
        retag(path, tag, 60_000)
    with pytest.raises(ImageError, match=r"slide\.svs.*whole slide.*60000×60000.*Export the region"):
        decode(path)
