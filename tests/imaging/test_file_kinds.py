"""What a file is that is not read: the error names it and says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from medanomaly.imaging import ImageError, decode, decode_mask, frames

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()


def by_pillow(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, kind)
    return buffer.getvalue()


def nifti(order: str = "<", version: int = 1) -> bytes:
    if version == 2:
        return struct.pack(order + "i4s", 540, b"n+2\0") + bytes(600)
    return struct.pack(order + "i", 348) + bytes(340) + b"n+1\0" + bytes(200)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", PNG)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    return buffer.getvalue()


def box(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(64)


KINDS = {
    "a.png.gz": (gzip.compress(PNG), "compressed with gzip.*gunzip a.png.gz"),
    "a.svs.gz": (gzip.compress(gzip.compress(b"x")), "gzip"),
    "broken.gz": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "a.nii.gz": (gzip.compress(nifti()), "NIfTI volume, compressed with gzip.*slices"),
    "a.nii": (nifti(), "NIfTI.*slices"),
    "big.nii": (nifti(">"), "NIfTI"),
    "two.nii": (nifti("<", 2), "NIfTI"),
    "a.hdr": (struct.pack("<i", 348) + bytes(400), "Analyze"),
    "a.webp": (by_pillow("WEBP"), "WebP.*Convert"),
    "a.gif": (by_pillow("GIF"), "GIF.*Convert"),
    "a.ico": (by_pillow("ICO"), "icon"),
    "a.jp2": (by_pillow("JPEG2000"), "JPEG 2000.*Convert"),
    "a.j2k": (b"\xff\x4f\xff\x51" + bytes(40), "JPEG 2000"),
    "a.jxl": (b"\xff\x0a" + bytes(40), "JPEG XL"),
    "a.heic": (box(b"heic"), "HEIC.*Convert"),
    "b.heic": (box(b"mif1"), "HEIC.*Convert"),
    "a.avif": (box(b"avif"), "AVIF.*Convert"),
    "a.mp4": (box(b"isom"), "MP4"),
    "a.avi": (b"RIFF\0\0\0\0AVI LIST", "AVI video"),
    "a.mkv": (b"\x1a\x45\xdf\xa3" + bytes(30), "Matroska"),
    "._a.png": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(60), "AppleDouble.*Leave it out"),
    ".DS_Store": (b"\x00\x00\x00\x01Bud1" + bytes(60), "DS_Store"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Thumbs.db"),
    "a.pdf": (b"%PDF-1.7\n%\xe2\xe3", "PDF.*Export"),
    "a.zip": (zipped(), "zip archive.*Unpack"),
    "a.tar": (tarred(), "tar archive.*Unpack"),
    "a.bz2": (bz2.compress(PNG), "bzip2.*bunzip2"),
    "a.xz": (lzma.compress(PNG), "compressed with xz"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7-Zip"),
    "a.html": (b"\n<!DOCTYPE html><html><body>Log in</body></html>", "web page.*Download"),
    "b.png": (b"\xef\xbb\xbf<html>404", "web page"),
    "a.svg": (b"<?xml version='1.0'?><svg/>", "XML or SVG"),
    "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "LFS pointer.*git lfs pull"),
    "a.txt": (b"path,label\na.png,normal\n", "text"),
    "u.txt": ("path;label\n".encode("utf-16"), "text"),
    "zeros.png": (bytes(5000), "nothing but zeros.*Copy it again"),
    "a.npy": (b"\x93NUMPY\x01\0" + bytes(100), "numpy array"),
    "a.mat": (b"MATLAB 5.0 MAT-file" + bytes(100), "MATLAB"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "a.nrrd": (b"NRRD0004\ntype: short\n", "NRRD.*slices"),
    "a.psd": (b"8BPS\0\1" + bytes(60), "Photoshop"),
    "a.exr": (b"\x76\x2f\x31\x01" + bytes(60), "OpenEXR"),
    "a.hdr2": (b"#?RADIANCE\n", "Radiance"),
    "a.pam": (b"P7\nWIDTH 1\n", "PAM"),
    "a.pfm": (b"Pf\n1 1\n-1\n\0\0\0\0", "PFM"),
    "a.czi": (b"ZISRAWFILE" + bytes(60), "Zeiss CZI"),
    "text-mode.png": (PNG.replace(b"\r\n", b"\n"), "text mode"),
    "a.lnk": (b"L\0\0\0\x01\x14\x02\0" + bytes(60), "shortcut"),
    "noise.bin": (b"\x07\x01\xfe\x80" * 50, "is not a readable image, or is truncated.*Readable: PNG"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_it_is_named(tmp_path, name):
    content, words = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (decode, decode_mask, frames):
        with pytest.raises(ImageError, match=f"{name}: .*{words}"):
            read(path)


def sof(jpeg: bytes, marker: int, precision: int = 8) -> bytes:
    place = jpeg.index(b"\xff\xc0")
    return jpeg[: place + 1] + bytes([marker]) + jpeg[place + 2 : place + 4] + bytes([precision]) + jpeg[place + 5 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [((0xC1, 12), "JPEG of 12 bits, which is not read.*PNG"), ((0xC7, 8), "JPEG of the lossless kind.*not read.*PNG"),
     ((0xC5, 8), "JPEG, which is damaged")],
)  # fmt: skip
def test_a_jpeg_that_opencv_lacks_is_named(tmp_path, change, words):
    jpeg = cv2.imencode(".jpg", PICTURE)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(sof(jpeg, *change))
    with pytest.raises(ImageError, match=f"a.jpg: is a {words}"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "[b].png", "ü ö.png"])
def test_the_name_in_a_command_is_the_files(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(PNG))
    with pytest.raises(ImageError) as told:
        decode(tmp_path / name)
    assert str(told.value).endswith(f"Unpack it: gunzip {name}")
