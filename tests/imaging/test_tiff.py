"""TIFF: every value as it was written, whatever the compression, the order of samples and bytes, and the layout."""

from __future__ import annotations

import subprocess
import sys
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.imaging.test_raster import UPRIGHT
from tests.imaging.tiff_files import ALPHA, AS, COLOUR, GREY, by_hand, write

from medanomaly.imaging import Preprocessing, decode
from medanomaly.imaging.decode import read

COMPRESSIONS = [
    {}, {"compression": "lzw"}, {"compression": "lzw", "predictor": True}, {"compression": "packbits"},
    {"compression": "zlib"}, {"compression": "zlib", "predictor": True},
]  # fmt: skip
LAYOUTS = [{}, {"rowsperstrip": 7}, {"tile": (32, 16)}, {"rowsperstrip": 1, "byteorder": ">"}]


def named(options: dict) -> str:
    return "-".join(f"{key}={value}" for key, value in options.items()) or "plain"


def first(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else pixels[:, :, 0]


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
@pytest.mark.parametrize("compression", COMPRESSIONS, ids=named)
@pytest.mark.parametrize("kind", AS)
def test_every_value_is_as_written(tmp_path, kind, compression, layout):
    grey, colour = AS[kind](GREY), AS[kind](COLOUR)
    options = {**compression, **layout}
    np.testing.assert_array_equal(first(read(write(tmp_path / "g.tif", grey, **options)).pixels), grey)
    np.testing.assert_array_equal(read(write(tmp_path / "c.tif", colour, **options)).pixels, colour)
    apart = colour.transpose(2, 0, 1).copy()
    path = write(tmp_path / "p.tif", apart, photometric="rgb", planarconfig="separate", **options)
    for _ in range(2):  # memory that nobody filled differs from time to time
        np.testing.assert_array_equal(read(path).pixels, colour)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("meaning", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("apart", [False, True])
def test_alpha_is_dropped_and_nothing_is_multiplied_by_it(tmp_path, kind, meaning, apart):
    pixels = AS[kind](np.dstack([COLOUR, ALPHA]))
    options = {"photometric": "rgb", "extrasamples": [meaning], "compression": "zlib"}
    stored = pixels.transpose(2, 0, 1).copy() if apart else pixels
    path = write(tmp_path / "a.tif", stored, planarconfig="separate" if apart else "contig", **options)
    np.testing.assert_array_equal(read(path).pixels, AS[kind](COLOUR))


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_grey_with_alpha_keeps_its_depth(tmp_path, kind):
    pixels = AS[kind](np.dstack([GREY, ALPHA]))
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    path = write(tmp_path / "ga.tif", pixels, **options)
    np.testing.assert_array_equal(first(read(path).pixels), AS[kind](GREY))
    assert decode(path).dtype == kind


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_white_is_zero(tmp_path, kind):
    path = write(tmp_path / "w.tif", AS[kind](GREY), photometric="miniswhite", compression="lzw")
    seen, shape = Preprocessing(GREY.shape).load(path)[:, :, 0], GREY.shape
    plain = Preprocessing(shape).load(write(tmp_path / "b.tif", AS[kind](GREY)))[:, :, 0]
    np.testing.assert_allclose(seen, 1 - plain, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("colour", [False, True])
def test_packed_bits_span_their_own_depth(tmp_path, bits, colour):
    array = (COLOUR if colour else GREY).astype(np.uint16)
    array = array >> (8 - bits) if bits < 8 else array << (bits - 8)
    count = array.shape[1] * (3 if colour else 1)
    spread = (array.reshape(len(array), count, 1) >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(spread.reshape(len(array), -1).astype(np.uint8), axis=1)
    path = by_hand(tmp_path / "a.tif", rows.tobytes(), array.shape, bits)
    np.testing.assert_allclose(
        read(path).unit(), (array if colour else array[:, :, None]) / (2**bits - 1) + np.zeros(3), atol=1e-6
    )
    if bits in (1, 2, 4):  # which fill 8 bits without rounding
        assert decode(path).dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_orientation_is_applied(tmp_path, kind, orientation):
    tags = [(274, 3, 1, orientation, True)]
    path = write(tmp_path / "t.tif", AS[kind](COLOUR), extratags=tags, rowsperstrip=8, compression="lzw")
    np.testing.assert_array_equal(decode(path), UPRIGHT[orientation](AS[kind](COLOUR)))
    grey = write(tmp_path / "g.tif", AS[kind](GREY), extratags=tags)
    np.testing.assert_array_equal(first(read(grey).pixels), UPRIGHT[orientation](AS[kind](GREY)))


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 16}, {"tile": (32, 16)}], ids=named)
def test_jpeg_within_tiff_is_what_libtiff_makes_of_it(tmp_path, subsampling, layout):
    path = tmp_path / "j.tif"
    write(path, COLOUR, compression="jpeg", compressionargs={"level": 90}, subsampling=subsampling, **layout)
    np.testing.assert_array_equal(decode(path), cv2.imread(str(path))[:, :, ::-1])  # whole files: OpenCV is right here


def test_jpeg_of_rgb_of_grey_and_of_planes(tmp_path):
    for name, pixels, options in (
        ("rgb", COLOUR, {"compressionargs": {"outcolorspace": "rgb", "level": 98}}),
        ("apart", COLOUR.transpose(2, 0, 1).copy(), {"photometric": "rgb", "planarconfig": "separate"}),
        ("grey", GREY, {"rowsperstrip": 16}),
    ):
        path = write(tmp_path / f"{name}.tif", pixels, compression="jpeg", **options)
        shown = pixels.transpose(1, 2, 0) if name == "apart" else pixels
        assert np.abs(decode(path).astype(int) - (shown if shown.ndim == 3 else shown[:, :, None])).mean() < 3, name


def test_a_palette_and_print_colours(tmp_path):
    Image.fromarray(COLOUR).quantize(16).save(tmp_path / "p.tif")
    np.testing.assert_array_equal(decode(tmp_path / "p.tif"), np.asarray(Image.open(tmp_path / "p.tif").convert("RGB")))
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "c.tif")
    np.testing.assert_array_equal(decode(tmp_path / "c.tif"), COLOUR)


def test_bigtiff_and_reversed_bits(tmp_path):
    big = write(tmp_path / "b.tif", AS["uint16"](COLOUR), bigtiff=True, compression="lzw", rowsperstrip=5)
    np.testing.assert_array_equal(decode(big), AS["uint16"](COLOUR))
    turned = np.packbits(np.unpackbits(GREY.reshape(-1, 1), axis=1)[:, ::-1], axis=1)
    np.testing.assert_array_equal(
        first(decode(by_hand(tmp_path / "r.tif", turned.tobytes(), GREY.shape, t266=2))), GREY
    )


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
@pytest.mark.parametrize("size", [1, 2, 3, 1023, 2047, 2048, 2049, 70_001])
def test_strips_of_any_length_are_expanded(compression, size):
    from medanomaly.imaging.tiff_codecs import expand
    from medanomaly.imaging.tiff_directory import TiffError

    number = {"lzw": 5, "packbits": 32773}[compression]
    for data in (np.random.default_rng(size).bytes(size), bytes(size)):
        stored = getattr(imagecodecs, f"{compression}_encode")(data)
        assert expand(stored, size, number) == data
        with pytest.raises(TiffError):  # one byte more than there is
            expand(stored, size + 1, number)


def test_a_last_strip_filled_to_the_height_of_the_others(tmp_path):
    rows = np.vstack([GREY, np.zeros((6, GREY.shape[1]), np.uint8)])
    path = by_hand(tmp_path / "f.tif", zlib.compress(rows.tobytes()), GREY.shape, t259=8)
    np.testing.assert_array_equal(first(decode(path)), GREY)


def test_the_same_decoder_with_and_without_the_libraries_that_training_brings(tmp_path):
    """The edge has neither tifffile nor imagecodecs nor Pillow: what training reads must not depend on them."""
    for name, options in (("lzw", {"compression": "lzw", "predictor": True}), ("jpeg", {"compression": "jpeg"})):
        write(tmp_path / f"{name}.tif", COLOUR, rowsperstrip=16, **options)
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('tifffile', 'imagecodecs', 'PIL', 'skimage', 'imageio', 'torch')))\n"
        "from medanomaly.imaging import decode\n"
        "print([int(decode(path).astype(int).sum()) for path in sys.argv[1:]])"
    )
    paths = [str(tmp_path / "lzw.tif"), str(tmp_path / "jpeg.tif")]
    told = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str([int(decode(path).astype(int).sum()) for path in paths])


def test_a_reduced_page_and_a_sub_directory_are_no_pages(tmp_path):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(COLOUR, photometric="rgb", subifds=1)
        file.write(COLOUR[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(COLOUR[::4, ::4], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(decode(path), COLOUR)
    write(tmp_path / "only.tif", GREY, subfiletype=1)
    np.testing.assert_array_equal(first(decode(tmp_path / "only.tif")), GREY)  # of nothing else it is the picture
