"""Opening DICOM: told by content, without preamble, deflated, of many frames; objects that are no image."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from tests.imaging.dicom_files import SECONDARY_CAPTURE, dataset, in_rle, write_dicom

from medanomaly.imaging import ImageError, decode, decode_mask, frames, looks_like_dicom
from medanomaly.imaging.decode import read
from medanomaly.imaging.dicom_head import is_dicom
from medanomaly.imaging.find_images import search

GREY = (np.add.outer(np.arange(16), np.arange(16)) * 8).astype(np.uint8)
STORAGE = "1.2.840.10008.5.1.4.1.1."


def settled(path):
    """As if written a while ago: a file written just now is read anew each time."""
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def bare(path, syntax, meta=False):
    """A data set without preamble; with or without the elements of group 2."""
    data = dataset(GREY.astype(np.uint16) * 16, 12)
    data["PixelData"].VR = "OW"
    if syntax == ExplicitVRBigEndian:
        data.PixelData = (GREY.astype(np.uint16) * 16).astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    start = 132
    if not meta:
        length = int.from_bytes(content[140:144], "little")
        start = 144 + length
    path.write_bytes(content[start:])
    return path


@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_files_without_preamble_are_read(tmp_path, syntax, meta):
    path = bare(tmp_path / "IM000001", syntax, meta)
    assert search(tmp_path).files == [path]
    assert looks_like_dicom(path)
    np.testing.assert_array_equal(read(path).pixels, GREY.astype(np.float32) * 16)
    assert frames(path) == [str(path)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x00",
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100",  # one element is chance
        b"\x08\x00\x05\x00" * 200,
        b"\x02\x00\x00\x00UL\x04\x00" + b"\xff" * 400,
        b"\x00" * 600,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
        b"%PDF-1.7 " * 80,
        bytes(range(256)) * 3,
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100\x08\x00\x05\x00CS\x0a\x00ISO_IR 100\x08\x00\x06\x00CS\x02\x00AB",
    ],
)
def test_other_files_do_not_look_like_dicom(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert not looks_like_dicom(tmp_path / "a")


def test_random_bytes_do_not_look_like_dicom():
    rng = np.random.default_rng(0)
    starts = [b"\x08\x00\x05\x00", b"\x02\x00\x00\x00", b"\x00\x08\x00\x05", b"\x08\x00\x00\x00\x04\x00\x00\x00"]
    assert not any(is_dicom(starts[number % 4] + rng.bytes(508)) for number in range(10_000))


def test_what_is_no_file_does_not_look_like_dicom(tmp_path):
    assert not looks_like_dicom(tmp_path)
    assert not looks_like_dicom(tmp_path / "missing")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert not looks_like_dicom(tmp_path / "pipe")


def test_looking_imports_no_pydicom():
    code = "import sys; from medanomaly.imaging import looks_like_dicom; looks_like_dicom(sys.executable)"
    code += "; assert 'pydicom' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def deflated(path, array, bits, **header):
    data = dataset(array, bits, **header)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    return path


def test_deflated_files_are_read(tmp_path):
    path = deflated(tmp_path / "a.dcm", GREY, 8, WindowCenter=100, WindowWidth=101)
    np.testing.assert_array_equal(
        decode(path), decode(write_dicom(tmp_path / "b.dcm", GREY, 8, WindowCenter=100, WindowWidth=101))
    )
    clip = settled(deflated(tmp_path / "c.dcm", np.stack([GREY, GREY + 1, GREY + 2]), 8, NumberOfFrames=3))
    assert [read(address).pixels[0, 0] for address in frames(clip)] == [0, 1, 2]
    clip.write_bytes(clip.read_bytes()[:-90])
    with pytest.raises(ImageError, match="holds fewer"):
        read(f"{clip}#frame=3")


def bomb(path, body, megabytes):
    """A deflated file whose data set is followed by megabytes of zeros, in a thousandth of their size."""
    deflated(path, GREY, 8)
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    engine = zlib.compressobj(9, wbits=-15)
    packed = engine.compress(body) + engine.flush(zlib.Z_FULL_FLUSH)
    zeros = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(content[:start] + packed + zeros * megabytes)
    return path


def inflated(path):
    content = path.read_bytes()
    return zlib.decompress(content[144 + int.from_bytes(content[140:144], "little") :], -15)


def test_a_deflated_bomb_is_not_inflated(tmp_path):
    whole = inflated(deflated(tmp_path / "a.dcm", GREY, 8))
    endless = b"\x09\x00\x10\x00LO\x02\x00ab\x09\x00\x01\x10UN\0\0" + (0xFFFFFFF0).to_bytes(4, "little")
    paths = {
        bomb(tmp_path / "trailing.dcm", whole, 300): None,
        bomb(tmp_path / "endless.dcm", endless, 300): "more than 32 MiB",
        bomb(tmp_path / "zeros.dcm", b"", 300): "",
        deflated(
            tmp_path / "many.dcm", np.zeros((2, 4, 4), np.uint8), 8, NumberOfFrames=90000, Rows=9999
        ): "more than 256 MiB",
    }
    tracemalloc.start()
    for path, said in paths.items():
        assert path.stat().st_size < 400_000
        if said is None:  # what follows the picture is never looked at
            np.testing.assert_array_equal(read(path).pixels, GREY)
        else:
            with pytest.raises(ImageError, match=rf"{path.name}.*{said}"):
                read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 << 20


def clip(count=7):
    return np.stack([np.full((8, 8), number, np.uint16) for number in range(count)])


def jpeg(value):
    import cv2

    return cv2.imencode(".jpg", np.full((8, 8), value, np.uint8))[1].tobytes()


@pytest.mark.parametrize("layout", ["basic table", "extended table", "none", "markers", "wrong table"])
def test_frames_are_found_however_they_are_listed(tmp_path, layout):
    pytest.importorskip("gdcm", reason="a decoder of JPEG")
    data = dataset(np.zeros((5, 8, 8), np.uint8), 8, NumberOfFrames=5)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    streams = [jpeg(40 * number) for number in range(5)]
    if layout == "extended table":
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    else:
        pieces = 2 if layout in ("markers", "basic table") else 1
        data.PixelData = encapsulate(streams, fragments_per_frame=pieces, has_bot="table" in layout)
        if layout == "wrong table":
            data.PixelData = data.PixelData[:12] + b"\7\0\0\0" + data.PixelData[16:]
    data["PixelData"].is_undefined_length = True
    path = tmp_path / "a.dcm"
    data.save_as(path, enforce_file_format=True)
    found = [round(float(read(address).pixels.mean())) for address in frames(path)]
    assert found == pytest.approx([0, 40, 80, 120, 160], abs=2)


@pytest.mark.parametrize("kind", ["plain", "rle", "deflated", "enhanced"])
def test_a_file_is_parsed_once_for_all_its_frames(tmp_path, kind, monkeypatch):
    """A frame of 2,000 takes what one of 25 takes: nothing of the file but that frame is read for it."""
    many = clip(40)
    data = dataset(many, 12, NumberOfFrames=40)
    if kind == "rle":
        data.PixelData = encapsulate([in_rle_stream(frame) for frame in many], has_bot=False)
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.5"
        data["PixelData"].is_undefined_length = True
    if kind == "deflated":
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    if kind == "enhanced":
        data.PerFrameFunctionalGroupsSequence = [group(number) for number in range(40)]
    path = tmp_path / "a.dcm"
    data.save_as(path, enforce_file_format=True)
    settled(path)
    parsed = []
    whole = pydicom.filereader.read_partial
    monkeypatch.setattr(
        "pydicom.filereader.read_partial", lambda *args, **options: parsed.append(1) or whole(*args, **options)
    )
    addresses = frames(path)
    offset = 1000 if kind == "enhanced" else 0
    assert [read(address).pixels[0, 0] for address in addresses] == [n + offset * n for n in range(40)]
    assert read(addresses[-1], voi=False).pixels[0, 0] == 39 + offset * 39
    assert len(parsed) == 1


def group(number):
    item, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, 1000 * number
    item.PixelValueTransformationSequence = [rescale]
    return item


def in_rle_stream(frame):
    from pydicom.encaps import get_frame

    return get_frame(in_rle(dataset(frame, 12), frame).PixelData, 0, number_of_frames=1)


def test_a_file_that_is_written_anew_is_opened_anew(tmp_path):
    path = tmp_path / "a.dcm"
    for value in range(20):  # of one size, within one tick of the file system's clock
        write_dicom(path, clip(3) + value, 12, NumberOfFrames=3)
        assert read(f"{path}#frame=1").pixels[0, 0] == value
    settled(path)
    assert read(f"{path}#frame=1").pixels[0, 0] == 19
    settled(write_dicom(path, clip(3) + 50, 12, NumberOfFrames=3))
    assert read(f"{path}#frame=1").pixels[0, 0] == 50


def test_of_a_large_file_only_the_frame_is_read(tmp_path):
    path = settled(write_dicom(tmp_path / "a.dcm", np.zeros((160, 256, 256), np.uint8), 8, NumberOfFrames=160))
    assert path.stat().st_size > 10 << 20
    frames(path)
    tracemalloc.start()
    assert len([read(address).pixels for address in frames(path)[::20]]) == 8
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.2"])
def test_a_transfer_syntax_that_is_none_is_named(tmp_path, syntax):
    data = dataset(GREY, 8)
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    content = (tmp_path / "a.dcm").read_bytes()
    old = b"UI\x14\x00" + b"1.2.840.10008.1.2.1\0"
    assert old in content
    text = syntax.encode() + b"\0" * (len(syntax) % 2)
    content = content.replace(old, b"UI" + len(text).to_bytes(2, "little") + text)
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(
        ImageError, match=rf"a\.dcm: has the transfer syntax .*{syntax if syntax[4] != '8' else ''}.*not read"
    ):
        decode(tmp_path / "a.dcm")


def test_few_files_are_kept(tmp_path):
    from medanomaly.imaging.dicom_open import _recent

    for number in range(9):
        path = settled(write_dicom(tmp_path / f"{number}.dcm", clip(3), 12, NumberOfFrames=3))
        assert len(frames(path)) == 3
    assert len(_recent._kept) <= 4


NO_IMAGES = {
    "66.4": "segmentation",
    "66.7": "segmentation",
    "30": "parametric map",
    "481.3": "structure set",
    "481.5": "radiotherapy",
    "11.1": "presentation state",
    "88.33": "structured report",
    "88.59": "key object selection",
    "104.1": "encapsulated document",
    "9.1.1": "waveform",
    "66": "raw data",
}


@pytest.mark.parametrize("number", NO_IMAGES)
@pytest.mark.parametrize("pixels", [True, False])
def test_objects_that_are_no_image_are_named(tmp_path, number, pixels):
    data = dataset(GREY, 8, SOPClassUID=STORAGE + number)
    if not pixels:
        del data.PixelData
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    for read_it in (read, frames):
        with pytest.raises(ImageError, match=rf"a\.dcm: is .*{NO_IMAGES[number]}.*not an image"):
            read_it(tmp_path / "a.dcm")


@pytest.mark.parametrize("number", ["7", "7.2", "2", "2.1", "1.2", "77.1.1", "481.1", "481.23", "128", "3.1", "13.1.3"])
def test_images_of_other_classes_stay_images(tmp_path, number):
    path = write_dicom(tmp_path / "a.dcm", GREY, 8, SOPClassUID=STORAGE + number)
    assert decode(path).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"Manufacturer": "medanomaly 0.2"}, "result of medanomaly"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary capture of an image with overlays"),
        ({"ImageType": ["DERIVED", "SECONDARY"], "BurnedInAnnotation": "YES", "source": True}, "with overlays"),
        ({"ConversionType": "SD"}, "scanned document"),
        # Photographs, films, copies and captures of video are images.
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER"], "source": True, "BurnedInAnnotation": "NO"}, None),
        ({"ImageType": ["DERIVED", "SECONDARY"], "source": True}, None),
        ({"ImageType": ["ORIGINAL", "SECONDARY"], "BurnedInAnnotation": "YES"}, None),
        ({"ConversionType": "WSD", "Manufacturer": "GE"}, None),
        ({"ConversionType": "DF"}, None),
        ({}, None),
    ],
)
def test_secondary_captures(tmp_path, header, said):
    data = dataset(GREY, 8, SOPClassUID=SECONDARY_CAPTURE, **{k: v for k, v in header.items() if k != "source"})
    if "source" in header:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = STORAGE + "2", "1.2.3"
        data.SourceImageSequence = [item]
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    if said is None:
        assert decode(tmp_path / "a.dcm").shape == (16, 16, 3)
    else:
        with pytest.raises(ImageError, match=rf"a\.dcm: is .*{said}.*not an image"):
            decode(tmp_path / "a.dcm")
    assert decode_mask(tmp_path / "a.dcm").any()
