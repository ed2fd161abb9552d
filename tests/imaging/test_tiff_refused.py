"""TIFF that is damaged, or that no decoder here reads, is an error that says which; never a black or scrambled picture."""

from __future__ import annotations

import struct
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.imaging.tiff_files import ALPHA, AS, COLOUR, GREY, by_hand, damage, retag, write

from medanomaly.imaging import ImageError, decode
from medanomaly.imaging.decode import frames


@pytest.mark.parametrize(
    ("number", "name"),
    [(34712, "JPEG 2000"), (33005, "JPEG 2000"), (50000, "Zstandard"), (50001, "WebP"), (34887, "LERC"), (34925, "LZMA"),
     (6, "old kind"), (4, "fax group 4"), (50002, "JPEG XL"), (34661, "JBIG"), (12345, "12345")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_a_compression_without_decoder_is_named(tmp_path, kind, number, name):
    path = retag(write(tmp_path / "a.tif", AS[kind](COLOUR)), 259, number)
    with pytest.raises(ImageError, match=rf"a\.tif.*{name}.*not read.*Save it"):
        decode(path)


@pytest.mark.parametrize("layout", [{"rowsperstrip": 8}, {"tile": (32, 32)}])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("compression", "kind"),
    [("jpeg", "uint8"), *product(("lzw", "zlib", "packbits"), ("uint8", "uint16", "float32"))],
)
def test_a_strip_that_breaks_off_is_refused(tmp_path, kind, compression, apart, layout):
    pixels = AS[kind](COLOUR)
    options = {"photometric": "rgb", "compression": compression, **layout}
    stored = pixels.transpose(2, 0, 1).copy() if apart else pixels
    path = write(tmp_path / "a.tif", stored, planarconfig="separate" if apart else "contig", **options)
    decode(path)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        number, length = len(page.dataoffsets), page.databytecounts[1]
        entry = page.tags[325 if "tile" in layout else 279]
    data, form = bytearray(path.read_bytes()), "<H" if entry.dtype == 3 else "<I"
    assert number > 2
    struct.pack_into(form, data, entry.valueoffset + struct.calcsize(form), length // 2)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.tif.*damaged.*again"):
        decode(path)


@pytest.mark.parametrize(
    ("compression", "kind", "predictor"),
    [("jpeg", "uint8", False), *product(("lzw", "zlib"), ("uint8", "uint16"), (False, True))],
)
def test_a_strip_with_other_bytes_is_refused(tmp_path, compression, kind, predictor):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (48, 64), dtype=np.uint8)
    path = write(tmp_path / "a.tif", AS[kind](noise), compression=compression, predictor=predictor, rowsperstrip=8)
    with pytest.raises(ImageError, match=r"a\.tif.*damaged"):
        decode(damage(path, 2, at=-40 if compression == "jpeg" else 2))


def test_one_bit_of_a_strip_of_deflate_is_found_by_its_checksum(tmp_path):
    path = write(tmp_path / "a.tif", ALPHA, compression="zlib", rowsperstrip=17)
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[1], file.pages[0].databytecounts[1]
    whole = path.read_bytes()
    for place in range(start + 2, start + length, 97):
        data = bytearray(whole)
        data[place] ^= 4
        path.write_bytes(data)
        with pytest.raises(ImageError, match="damaged"):
            decode(path)


@pytest.mark.parametrize(
    ("array", "words"),
    [(GREY.astype(np.float16), "16-bit float"), (GREY.astype(np.float64), "64-bit float"),
     (GREY.astype(np.uint32), "32-bit unsigned"), (GREY.astype(np.int32), "32-bit signed"),
     (GREY.astype(np.complex64), "complex")],
    ids=str,
)  # fmt: skip
def test_a_depth_that_is_not_read_is_named(tmp_path, array, words):
    with pytest.raises(ImageError, match=rf"a\.tif.*{words}.*Save it as 8- or 16-bit"):
        decode(write(tmp_path / "a.tif", array))


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [(262, 8, "L\\*a\\*b"), (262, 32803, "mosaic"), (262, 6, "YCbCr"), (262, 77, "interpretation 77"),
     (339, 9, "unknown format 9"), (284, 3, "damaged"), (277, 2, "damaged"), (278, 0xFFFF, "damaged|truncated|lists")],
)  # fmt: skip
def test_what_a_page_declares_is_checked(tmp_path, tag, value, words):
    body = COLOUR.tobytes()
    more = {"t339": 1, "t284": 1, f"t{tag}": value}
    if tag == 278:
        more["t279"] = len(body) // 2
    with pytest.raises(ImageError, match=words):
        decode(by_hand(tmp_path / "a.tif", body, COLOUR.shape, **more))


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("channels", "extra"), [(2, ["unspecified"]), (5, ["unspecified"] * 4), (6, ["unassalpha", *["unspecified"] * 4])]
)
def test_channels_of_unknown_meaning_are_not_guessed(tmp_path, kind, channels, extra):
    pixels = AS[kind](np.dstack([GREY] * channels))
    path = write(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig", extrasamples=extra)
    with pytest.raises(ImageError, match=rf"a\.tif.*{channels} channels.*unknown meaning"):
        decode(path)


@pytest.mark.parametrize("save", [{"compression": "group4"}, {"compression": "group3"}])
def test_fax_is_named(tmp_path, save):
    Image.fromarray(GREY > 127).save(tmp_path / "f.tif", **save)
    with pytest.raises(ImageError, match=r"f\.tif.*CCITT fax group"):
        decode(tmp_path / "f.tif")


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, share, bigtiff):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, np.stack([ALPHA] * 5), photometric="minisblack", compression="lzw", bigtiff=bigtiff)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=r"cut\.tif.*(truncated|damaged)"):
        [decode(address) for address in frames(path)]


def test_a_camera_preview_is_not_taken_for_the_picture(tmp_path):
    path = tmp_path / "raw.dng"
    with tifffile.TiffWriter(path) as file:
        file.write(COLOUR[::8, ::8], photometric="rgb", subfiletype=1, subifds=1)
        file.write(COLOUR, photometric="rgb")
    with pytest.raises(ImageError, match=r"raw\.dng.*preview"):
        decode(path)


def test_a_few_bytes_cannot_become_a_large_picture(tmp_path):
    for compression in (1, 5, 7, 8, 32773):
        path = by_hand(tmp_path / "bomb.tif", bytes(64), (9000, 9000), t259=compression)
        with pytest.raises(ImageError, match=r"bomb\.tif.*damaged"):
            decode(path)
