"""Stored bits, padding, look-up tables, palettes and floats of DICOM: the values that its header means."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless
from tests.imaging.dicom_files import by_gdcm, dataset, in_rle, write_dicom

from medanomaly.imaging import ImageError, Preprocessing, decode, decode_mask
from medanomaly.imaging.decode import read

RAMP = (np.add.outer(np.arange(32), np.arange(32)) * 60).astype(np.uint16)  # up to 3720: 12 bits
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def saved(data: Dataset, path, **header):
    for key, value in header.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless", "JPEGLosslessProcess14_1"])
def test_bits_above_those_stored_are_cut(tmp_path, syntax, signed):
    """A frame of 12 bits, compressed as 16 with an overlay in bit 15 of some rows."""
    plain = RAMP.astype(np.int16) - 2000 if signed else RAMP
    words = plain.view(np.uint16) & 0x0FFF
    words[5:9] |= 0x8000
    data = dataset(words, 16)
    if syntax == "RLELossless":
        data = in_rle(data, words)
    elif syntax == "JPEG2000Lossless":
        pytest.importorskip("openjpeg")
        data.compress(JPEG2000Lossless)
    else:
        pytest.importorskip("gdcm")
        data = by_gdcm(data, syntax, tmp_path)
    path = saved(data, tmp_path / "a.dcm", PixelRepresentation=int(signed), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(path, voi=False).pixels, plain)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_cut_from_plain_pixels(tmp_path, signed):
    plain = RAMP.astype(np.int16) - 2000 if signed else RAMP
    words = (plain.view(np.uint16) & 0x0FFF) | 0x4000
    path = write_dicom(tmp_path / "a.dcm", words, 12, PixelRepresentation=int(signed))
    np.testing.assert_array_equal(read(path).pixels, plain)


def test_a_lossy_decoder_overshoots_white_and_does_not_turn_black():
    from pydicom.uid import JPEG2000

    from medanomaly.imaging.dicom_pixels import _within

    words = np.array([[4090, 4100, 0x8000 | 7]], np.uint16)
    assert _within(words, 12, JPEG2000).tolist() == [[4090, 4095, 7]]
    assert _within(words, 12, JPEG2000Lossless).tolist() == [[4090, 4, 7]]
    assert _within(np.array([[-2060, 2050, -2000]], np.int16), 12, JPEG2000).tolist() == [[-2048, 2047, -2000]]


def padded_ct(path, value, limit=None, bits=16, signed=True, fill=-2000):
    hounsfield = RAMP.astype(np.int16) // 2 - 1000
    hounsfield[:4] = fill
    data = dataset(hounsfield if signed else hounsfield.view(np.uint16), bits)
    data.PixelRepresentation = int(signed)
    for tag, number in ((0x00280120, value), (0x00280121, limit)):
        if number != ():
            data.add_new(tag, "SS" if isinstance(number, int) and number < 0 else "US", number)
    return saved(data, path), hounsfield


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (-2000, ()),
        (63536, ()),  # -2000 as an unsigned number
        (-2000, None),  # an empty limit
        (63536, 63600),
        (-1990, -2010),  # the other way round
        (63546, -2010),  # one of each signedness
    ],
)
@pytest.mark.parametrize("bits", [16, 12])
def test_padding_is_met_in_either_signedness(tmp_path, value, limit, bits):
    path, hounsfield = padded_ct(tmp_path / "a.dcm", value, limit, bits)
    found = read(path, voi=False).pixels
    assert (found[:4] == hounsfield[4:].min()).all()
    np.testing.assert_array_equal(found[4:], hounsfield[4:])


def test_padding_as_the_unsigned_number_of_its_stored_bits(tmp_path):
    path, hounsfield = padded_ct(tmp_path / "a.dcm", 2**12 - 2000, bits=12)
    assert read(path, voi=False).pixels.min() == hounsfield[4:].min()


def test_padding_beyond_the_stored_bits_is_told_by_the_words(tmp_path):
    words = RAMP.copy()
    words[:4], words[10] = 0xFFFF, 4095  # the one is padding, the other white
    path = write_dicom(tmp_path / "a.dcm", words, 12, PixelPaddingValue=65535)
    found = read(path).pixels
    assert (found[:4] == RAMP[4:].min()).all()
    assert (found[10] == 4095).all()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [0, 255])
def test_a_picture_of_two_values_of_which_one_is_padding_stays(tmp_path, padding, photometric):
    stored = np.zeros((8, 8), np.uint8)
    stored[2:4, 3:6] = 255
    path = write_dicom(tmp_path / "a.dcm", stored, 8, photometric, PixelPaddingValue=padding)
    share = stored / 255
    np.testing.assert_array_equal(decode(path)[..., 0], 1 - share if photometric == "MONOCHROME1" else share)


@pytest.mark.parametrize("header", [{}, {"PixelPaddingValue": 0}, {"PixelPaddingValue": 255}])
@pytest.mark.parametrize("labels", [(255,), (1,), (100, 255), (1, 2, 3)])
def test_a_mask_marks_what_is_neither_0_nor_padding(tmp_path, labels, header):
    stored = np.zeros((8, 8), np.uint8)
    stored[2, : len(labels)] = labels
    path = write_dicom(tmp_path / "a.dcm", stored, 8, **header)
    wanted = stored > 0 if labels == (255,) else (stored > 0) & (stored != header.get("PixelPaddingValue", 0))
    np.testing.assert_array_equal(decode_mask(path), wanted)


def test_a_signed_mask_marks_what_is_not_0(tmp_path):
    stored = np.zeros((8, 8), np.int16)
    stored[3:5, 3:5] = 1
    stored[0] = -2000
    path = write_dicom(tmp_path / "a.dcm", stored, 16, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-1024)
    np.testing.assert_array_equal(decode_mask(path), stored == 1)


def test_an_inverted_mask_marks_what_is_dark_in_the_file(tmp_path):
    stored = np.full((8, 8), 255, np.uint8)
    stored[3:5, 3:5] = 0
    np.testing.assert_array_equal(decode_mask(write_dicom(tmp_path / "a.dcm", stored, 8, "MONOCHROME1")), stored == 0)


def test_a_fractional_segmentation_marks_from_half_on(tmp_path):
    stored = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    data = dataset(stored, 8)
    saved(data, tmp_path / "a.dcm", SOPClassUID=SEGMENTATION, SegmentationType="FRACTIONAL", MaximumFractionalValue=252)
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.dcm"), stored >= 126)


def test_frames_of_single_bits_need_not_begin_at_a_byte(tmp_path):
    stored = np.random.default_rng(0).integers(0, 2, (3, 5, 5), dtype=np.uint8)
    data = dataset(stored, 1, NumberOfFrames=3)
    data.BitsAllocated, data.HighBit = 1, 0
    data.PixelData = np.packbits(stored.ravel(), bitorder="little").tobytes()
    path = saved(data, tmp_path / "a.dcm", SOPClassUID=SEGMENTATION)
    for number in range(3):
        np.testing.assert_array_equal(decode_mask(f"{path}#frame={number + 1}"), stored[number] > 0)


def table(entries, first, bits, kind="US"):
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new(0x00283006, kind, list(entries) if kind == "US" else np.asarray(entries, "<u2").tobytes())
    return [item]


@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_table_that_maps_no_stored_value_is_named(tmp_path, sequence):
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write_dicom(tmp_path / "a.dcm", stored, 8, **{sequence: table(range(256), 300, 8)})
    with pytest.raises(ImageError, match=r"a\.dcm.*300 to 555.*0 to 255"):
        decode(path)


def test_a_table_whose_first_value_is_of_the_other_signedness(tmp_path):
    stored = np.arange(-128, 128, dtype=np.int16).reshape(16, 16)
    path = write_dicom(tmp_path / "a.dcm", stored, 16, VOILUTSequence=table(range(0, 512, 2), 65536 - 128, 16))
    np.testing.assert_array_equal(read(path).pixels, 2 * (stored + 128))


@pytest.mark.parametrize("kind", ["US", "OW"])
def test_a_table_of_all_values_counts_its_entries_as_0(tmp_path, kind):
    stored = np.arange(65536).astype(np.uint16).reshape(256, 256)
    path = write_dicom(tmp_path / "a.dcm", stored, 16, VOILUTSequence=table(range(65535, -1, -1), 0, 16, kind))
    np.testing.assert_array_equal(read(path).pixels, 65535.0 - stored)


def coloured(path, stored, planes, bits, first=0, kind="words", syntax=None):
    data = dataset(stored, stored.itemsize * 8, "PALETTE COLOR")
    if syntax:
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    order = ">" if syntax else "<"
    for name, plane in zip(("Red", "Green", "Blue"), planes, strict=True):
        data.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [len(plane) % 65536, first, bits])
        words = np.asarray(plane, np.uint8).tobytes() if kind == "bytes" else np.asarray(plane, order + "u2").tobytes()
        if kind == "bytes" and syntax:
            words = b"".join(words[i + 1 : i + 2] + words[i : i + 1] for i in range(0, len(words), 2))
        data.add_new(f"{name}PaletteColorLookupTableData", "OW", words)
    return saved(data, path)


@pytest.mark.parametrize("syntax", [None, ExplicitVRBigEndian])
@pytest.mark.parametrize("kind", ["words", "bytes"])
def test_a_palette_of_8_bits_is_read_from_words_and_bytes(tmp_path, kind, syntax):
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    planes = np.random.default_rng(0).integers(0, 256, (3, 256))
    image = decode(coloured(tmp_path / "a.dcm", stored, planes, 8, kind=kind, syntax=syntax))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, planes.T[stored])


def test_a_palette_of_16_bits_and_one_that_says_8_but_holds_16(tmp_path):
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    planes = np.random.default_rng(0).integers(0, 65536, (3, 256))
    for bits in (8, 16):
        image = decode(coloured(tmp_path / "a.dcm", stored, planes, bits))
        assert image.dtype == np.uint16
        np.testing.assert_array_equal(image, planes.T[stored])


def test_a_palette_of_more_entries_than_a_byte_can_name(tmp_path):
    stored = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    planes = np.random.default_rng(0).integers(0, 256, (3, 1000))
    image = decode(coloured(tmp_path / "a.dcm", stored, planes, 8, first=20, kind="bytes"))
    np.testing.assert_array_equal(image, planes.T[np.clip(stored.astype(int) - 20, 0, 999)])
    with pytest.raises(ImageError, match="would come out the same"):
        decode(coloured(tmp_path / "a.dcm", stored.astype(np.uint8), planes, 8, first=300))


def test_a_segmented_palette(tmp_path):
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = dataset(stored, 8, "PALETTE COLOR")
    # 2 entries as they stand, a line of 125 to 1000, one of 1 to 500, and both lines once more
    words = [0, 2, 7, 0, 1, 125, 1000, 1, 1, 500, 2, 2, 8, 0]
    half = np.around(np.linspace(0, 1000, 126)[1:])
    wanted = [7, 0, *half, 500]
    again = [*np.around(np.linspace(500, 1000, 126)[1:]), 500, 500, 500]
    wanted = np.array([*wanted, *again])[:256]
    for name in ("Red", "Green", "Blue"):
        data.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [254, 0, 16])
        data.add_new(f"Segmented{name}PaletteColorLookupTableData", "OW", struct.pack("<14H", *words))
    image = decode(saved(data, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image[..., 1], wanted[np.clip(stored, 0, 253)])
    data.SegmentedRedPaletteColorLookupTableData = struct.pack("<4H", 0, 900, 7, 7)
    with pytest.raises(ImageError, match="segmented palette of 2 instead of 254"):
        decode(saved(data, tmp_path / "a.dcm"))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rle", [False, True])
def test_integers_of_32_bits(tmp_path, rle, signed):
    stored = (RAMP.astype(np.int64) * 1_000_000 - (2_000_000_000 if signed else 0)).astype("i4" if signed else "u4")
    data = in_rle(dataset(stored, 32), stored) if rle else dataset(stored, 32)
    path = saved(data, tmp_path / "a.dcm", RescaleSlope=0.5, RescaleIntercept=7)
    np.testing.assert_allclose(read(path).pixels, stored * 0.5 + 7, rtol=1e-7)
    low, high = (-(2.0**31), 2.0**31 - 1) if signed else (0, 2.0**32 - 1)
    np.testing.assert_allclose(decode(path)[..., 0], (stored - low) / (high - low), atol=1e-6)


def test_a_window_far_from_0_keeps_its_steps(tmp_path):
    stored = (np.arange(64).reshape(8, 8) + 2_000_000_000).astype(np.uint32)
    path = write_dicom(
        tmp_path / "a.dcm", stored, 32, WindowCenter=2_000_000_032, WindowWidth=64, VOILUTFunction="LINEAR_EXACT"
    )
    np.testing.assert_allclose(decode(path)[..., 0], np.arange(64).reshape(8, 8) / 64, atol=1e-6)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats(tmp_path, kind):
    values = np.linspace(0, 1, 64).reshape(8, 8).astype(kind)
    data = dataset(np.zeros((8, 8), np.uint8), 8)
    del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
    data.BitsAllocated = 32 if kind == "f4" else 64
    setattr(data, "FloatPixelData" if kind == "f4" else "DoubleFloatPixelData", values.tobytes())
    path = saved(data, tmp_path / "a.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    np.testing.assert_allclose(decode(path)[..., 0], values, atol=1e-7)
    np.testing.assert_allclose(Preprocessing((8, 8), "minmax").load(path)[..., 0], values, atol=1e-6)
    data.WindowCenter, data.WindowWidth, data.VOILUTFunction = 0.5, 0.5, "LINEAR_EXACT"
    np.testing.assert_allclose(decode(saved(data, path))[..., 0], np.clip((values - 0.5) / 0.5 + 0.5, 0, 1), atol=1e-6)
    del data.WindowCenter
    setattr(data, ("Float" if kind == "f4" else "DoubleFloat") + "PixelPaddingValue", 0.0)
    assert read(saved(data, path)).pixels.min() == pytest.approx(1 / 63)
    values[0, 0] = np.nan
    setattr(data, "FloatPixelData" if kind == "f4" else "DoubleFloatPixelData", values.tobytes())
    with pytest.raises(ImageError, match="not finite"):
        decode(saved(data, path))


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("RescaleSlope", "nan", "RescaleSlope of nan"),
        ("RescaleIntercept", "nan", "RescaleIntercept of nan"),
        ("RescaleIntercept", "inf", "RescaleIntercept of inf"),
        ("RescaleSlope", "1,5", "RescaleSlope that is no number"),
        ("WindowWidth", "4o0", "WindowWidth that is no number"),
    ],
)
def test_the_element_that_is_wrong_is_named(tmp_path, key, text, said):
    header = {"RescaleSlope": "1", "RescaleIntercept": "0", "WindowCenter": "9", "WindowWidth": "9"}
    path = write_dicom(tmp_path / "a.dcm", RAMP, 12, **{**header, key: "1.25"})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.25", text.ljust(4).encode()))
    with pytest.raises(ImageError, match=rf"a\.dcm: has a {said}"):
        decode(path)


@pytest.mark.parametrize("key", ["BitsStored", "Rows", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"])
def test_an_element_that_is_missing_is_named(tmp_path, key):
    data = dataset(RAMP, 12)
    data["PixelData"].VR = "OW"
    delattr(data, key)
    with pytest.raises(ImageError, match=rf"a\.dcm: lacks {key}"):
        decode(saved(data, tmp_path / "a.dcm"))


def test_12_bit_jpeg_without_its_decoder_names_the_extra(tmp_path, monkeypatch):
    """Pillow, which the triage page brings along, and gdcm say that they read this syntax, and read 8 bits of it."""
    from pydicom.pixels.decoders.base import JPEGExtended12BitDecoder

    others = {"pillow": None, "gdcm": None}
    monkeypatch.setattr(JPEGExtended12BitDecoder, "_available", others)
    data = dataset(RAMP, 12)
    data.file_meta.TransferSyntaxUID = JPEGExtended12BitDecoder.UID
    data.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    with pytest.raises(ImageError, match=r"a\.dcm.*12-bit JPEG.*medanomaly\[dicom-libjpeg\].*GPL"):
        decode(saved(data, tmp_path / "a.dcm"))


def test_a_video_inside_dicom_is_named(tmp_path):
    from pydicom.uid import MPEG4HP41

    data = dataset(RAMP, 12)
    data.file_meta.TransferSyntaxUID = MPEG4HP41
    data.PixelData = encapsulate([b"\0\0\1\xba"])
    with pytest.raises(ImageError, match=r"a\.dcm.*video inside DICOM.*MP4"):
        decode(saved(data, tmp_path / "a.dcm"))
