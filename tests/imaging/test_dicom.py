"""DICOM: every depth and photometric interpretation, windows, frames, compression, and files that are none."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless
from tests.imaging.dicom_files import dataset, write_dicom

from medanomaly.imaging import ImageError, Preprocessing, decode, decode_mask, frames, inside, split_frame

RNG = np.random.default_rng(0)


def ramp(bits: int, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Stored values over the whole range, and the same as shares of it."""
    side = 64 if bits == 12 else 16 if bits == 8 else 256
    values = np.arange(2**bits).reshape(side, -1)
    kind = f"{'int' if signed else 'uint'}{8 if bits == 8 else 16}"
    return (values - 2 ** (bits - 1) * signed).astype(kind), values / (2**bits - 1)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_ramp_comes_back_to_one_part_in_two_to_the_bits(tmp_path, bits, signed, photometric):
    stored, share = ramp(bits, signed)
    expected = 1 - share if photometric == "MONOCHROME1" else share
    path = write_dicom(tmp_path / "ramp.dcm", stored, bits, photometric, RescaleSlope=2, RescaleIntercept=-1000)
    image = decode(path)
    assert image.dtype == np.float32
    assert image.shape == (*stored.shape, 3)
    assert np.abs(image - expected[:, :, None]).max() < 0.1 / 2**bits
    assert len(np.unique(image)) == 2**bits  # no two grey levels fall together
    np.testing.assert_allclose(Preprocessing(stored.shape).load(path), image, atol=1e-7)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_minmax_stretches_and_keeps_bright_bright(tmp_path, bits, photometric):
    stored, share = ramp(bits, False)
    path = write_dicom(tmp_path / "ramp.dcm", stored, bits, photometric)
    expected = 1 - share if photometric == "MONOCHROME1" else share
    for rule in ("minmax", "percentile:0,100", "equalise"):
        assert np.abs(Preprocessing(stored.shape, rule).load(path) - expected[:, :, None]).max() < 1 / 2**bits


def test_a_negative_slope_keeps_low_values_dark(tmp_path):
    stored, share = ramp(8, False)
    image = decode(write_dicom(tmp_path / "a.dcm", stored, 8, RescaleSlope=-1, RescaleIntercept=0))
    np.testing.assert_allclose(image[..., 0], 1 - share, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (None, lambda x: np.clip((x - 39.5) / 399 + 0.5, 0, 1)),
        ("LINEAR_EXACT", lambda x: np.clip((x - 40) / 400 + 0.5, 0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 40) / 400))),
    ],
)
def test_the_files_window_is_applied_in_modality_units(tmp_path, function, expected):
    hounsfield = np.arange(-1024, 3072).reshape(64, 64)
    header = {"VOILUTFunction": function} if function else {}
    path = write_dicom(
        tmp_path / "ct.dcm", (hounsfield + 1024).astype(np.uint16), 12,
        RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[40, 400], WindowWidth=[400, 1500], **header,
    )  # fmt: skip
    np.testing.assert_allclose(decode(path)[..., 0], expected(hounsfield), atol=1e-5)


def test_a_window_of_ones_own_takes_the_place_of_the_files(tmp_path):
    hounsfield = np.arange(-1024, 3072).reshape(64, 64)
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        path = write_dicom(
            tmp_path / "ct.dcm", (hounsfield + 1024).astype(np.uint16), 12, photometric,
            RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400,
        )  # fmt: skip
        image = Preprocessing((64, 64), "window:-600,1500").load(path)[..., 0]
        expected = np.clip((hounsfield + 600) / 1500 + 0.5, 0, 1)
        np.testing.assert_allclose(image, 1 - expected if photometric == "MONOCHROME1" else expected, atol=1e-5)


def test_look_up_tables_for_modality_and_display(tmp_path):
    def table(entries, first, bits):
        item = Dataset()
        item.add_new(0x00283002, "US", [len(entries), first, bits])
        item.add_new(0x00283006, "US", list(entries))
        return [item]

    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    squares = [value * value for value in range(256)]
    path = write_dicom(tmp_path / "lut.dcm", stored, 8, ModalityLUTSequence=table(squares, 0, 16))
    np.testing.assert_allclose(decode(path)[..., 0], stored.astype(float) ** 2 / 65535, atol=1e-6)
    path = write_dicom(tmp_path / "voi.dcm", stored, 8, VOILUTSequence=table(range(4095, 3839, -1), 0, 12))
    np.testing.assert_allclose(decode(path)[..., 0], (4095.0 - stored) / 4095, atol=1e-6)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_comes_as_rgb(tmp_path, photometric):
    from pydicom.pixels import convert_color_space

    rgb = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    stored = rgb if photometric == "RGB" else convert_color_space(rgb, "RGB", "YBR_FULL")
    image = decode(write_dicom(tmp_path / "a.dcm", stored, 8, photometric))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - rgb).max() <= (0 if photometric == "RGB" else 2)


def test_palette_colour(tmp_path):
    palette = RNG.integers(0, 65536, (256, 3), dtype=np.uint16)
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    header = {}
    for place, name in enumerate(("Red", "Green", "Blue")):
        header[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        header[f"{name}PaletteColorLookupTableData"] = palette[:, place].tobytes()
    image = decode(write_dicom(tmp_path / "a.dcm", stored, 8, "PALETTE COLOR", **header))
    np.testing.assert_array_equal(image, palette[stored])


def test_frames_are_addressed_from_one(tmp_path):
    stored = np.stack([np.full((4, 6), value, np.uint8) for value in (10, 20, 30)])
    path = write_dicom(tmp_path / "clip.dcm", stored, 8, NumberOfFrames=3)
    assert frames(path) == [f"{path}#frame={number}" for number in (1, 2, 3)]
    assert [round(decode(address)[0, 0, 0] * 255) for address in frames(path)] == [10, 20, 30]
    with pytest.raises(ImageError, match=r"clip\.dcm.*3 frames.*#frame=1"):
        decode(path)
    for wrong in (0, 4):
        with pytest.raises(ImageError, match="count from 1 to 3"):
            decode(f"{path}#frame={wrong}")
    single = write_dicom(tmp_path / "one.dcm", stored[0], 8)
    assert frames(single) == [str(single)]


def test_addresses_stay_inside_the_root_and_names_that_look_like_one_are_files(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    outside = write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), 8)
    (root / "link.dcm").symlink_to(outside)
    with pytest.raises(ImageError, match="outside"):
        inside(root, "link.dcm#frame=1")
    odd = tmp_path / "b#frame=7"
    odd.write_bytes(outside.read_bytes())
    assert split_frame(odd) == (odd, None)
    assert decode(odd).shape == (4, 4, 3)


def test_rescale_and_window_of_an_enhanced_file_are_its_frames_own(tmp_path):
    data = dataset(np.full((2, 4, 4), 100, np.uint16), 12, NumberOfFrames=2)
    groups = []
    for slope, centre in ((1, 100), (2, 100)):
        group, rescale, voi = Dataset(), Dataset(), Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = slope, 0
        voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = centre, 400, "LINEAR_EXACT"
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [rescale], [voi]
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence = groups
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert [decode(a)[0, 0, 0] for a in frames(tmp_path / "a.dcm")] == pytest.approx([0.5, 0.75])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_dark_and_does_not_stretch_the_rest(tmp_path, photometric):
    stored = np.linspace(100, 200, 64).round().astype(np.int16).reshape(8, 8)
    stored[0] = -2000
    path = write_dicom(tmp_path / "a.dcm", stored, 16, photometric, PixelPaddingValue=-2000)
    image = Preprocessing((8, 8), "minmax").load(path)
    assert (image[0] == 0).all()
    assert image[1:].min() < 0.01
    assert image[1:].max() > 0.99
    assert np.median(image[1:]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_keeps_every_value(tmp_path, syntax):
    pytest.importorskip("openjpeg")
    stored = RNG.integers(0, 4096, (32, 32), dtype=np.uint16)
    plain = decode(write_dicom(tmp_path / "a.dcm", stored, 12))
    data = dataset(stored, 12)
    data.compress(syntax)
    data.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(decode(tmp_path / "b.dcm"), plain)


def jpeg_dicom(path, grey, **header):
    data = dataset(grey, 8)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()])
    for keyword, value in header.items():
        setattr(data, keyword, value)
    data.save_as(path, enforce_file_format=True)
    return path


def test_jpeg_in_dicom(tmp_path):
    pytest.importorskip("libjpeg")
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    image = decode(jpeg_dicom(tmp_path / "a.dcm", grey))
    assert np.abs(image[..., 0] * 255 - grey).max() < 6


def test_a_missing_decoder_names_the_extra(tmp_path, monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    path = jpeg_dicom(tmp_path / "a.dcm", np.zeros((16, 16), np.uint8))
    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    with pytest.raises(ImageError, match=r"a\.dcm.*JPEG Baseline.*medanomaly\[dicom\]"):
        decode(path)


def test_a_compressed_picture_larger_than_declared_is_not_decoded(tmp_path):
    path = jpeg_dicom(tmp_path / "a.dcm", np.zeros((64, 64), np.uint8), Rows=8, Columns=8)
    with pytest.raises(ImageError, match=r"64×64.*8×8"):
        decode(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"Rows": 0}, "4×0"),
        ({"Rows": 60000, "Columns": 60000}, "limit"),
        ({"NumberOfFrames": 0}, "0 frames"),
        ({"NumberOfFrames": 90000}, "holds fewer"),
        ({"NumberOfFrames": 2000000000}, "frames"),
        ({"BitsAllocated": 64}, "64"),
        ({"HighBit": 11}, "HighBit"),
        ({"RescaleSlope": 0}, "RescaleSlope"),
        ({"WindowCenter": 1, "WindowWidth": 0}, "width 0"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "MAGIC"}, "MAGIC"),
        ({"PhotometricInterpretation": "HSV"}, "HSV"),
    ],
)
def test_headers_that_make_no_picture_are_named(tmp_path, header, message):
    data = dataset(np.zeros((4, 4), np.uint8), 8)
    for keyword, value in header.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(tmp_path / "odd.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=rf"odd\.dcm.*{message}"):
        decode(tmp_path / "odd.dcm")


def test_a_dicom_suffix_on_something_else(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no DICOM" * 100)
    with pytest.raises(ImageError, match=r"a\.dcm.*DICM"):
        decode(tmp_path / "a.dcm")


def test_a_mask_marks_what_is_not_black(tmp_path):
    mask = RNG.integers(0, 2, (8, 8), dtype=np.uint8)
    np.testing.assert_array_equal(decode_mask(write_dicom(tmp_path / "m.dcm", mask, 8)), mask > 0)


def test_pydicom_is_imported_for_dicom_alone():
    import subprocess

    code = "import sys, medanomaly.imaging; assert 'pydicom' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.real
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [12, 16])
def test_a_film_wrapped_in_dicom_reads_as_the_film(real_data, tmp_path, bits, photometric):
    film = cv2.imread(str(real_data / "mias" / "full_pgm_sample" / "mdb003.pgm"), cv2.IMREAD_UNCHANGED)
    stored = np.rint(film / 255 * (2**bits - 1)).astype(np.uint16)
    stored = (2**bits - 1 - stored).astype(np.uint16) if photometric == "MONOCHROME1" else stored
    path = write_dicom(tmp_path / "film.dcm", stored, bits, photometric)
    plain = real_data / "mias" / "full_pgm_sample" / "mdb003.pgm"
    assert np.abs(Preprocessing((256, 256)).load(path) - Preprocessing((256, 256)).load(plain)).max() < 1e-3
    breast = Preprocessing((256, 256), field_of_view="breast")  # the skin line may move by a pixel with the depth
    assert np.abs(breast.load(path) - breast.load(plain)).mean() < 2e-3


@pytest.mark.real
@pytest.mark.parametrize("name", ["CT_small", "MR_small", "MR_small_RLE", "MR_small_jp2klossless", "JPGExtended"])
def test_sample_files_open(real_data, name):
    if name in ("MR_small_jp2klossless", "JPGExtended"):
        pytest.importorskip("openjpeg" if "jp2k" in name else "libjpeg")
    path = real_data / "dicom" / f"{name}.dcm"
    header = pydicom.dcmread(path, stop_before_pixels=True)
    image = decode(path)
    assert image.shape == (header.Rows, header.Columns, 3)
    assert 0 <= image.min() < image.max() <= 1
    if name.startswith("MR_small_"):
        np.testing.assert_array_equal(image, decode(real_data / "dicom" / "MR_small.dcm"))
    stretched = Preprocessing((64, 64), "minmax").load(path)
    assert stretched.std() > 0.05
