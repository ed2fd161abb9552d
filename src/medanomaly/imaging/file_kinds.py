"""Name the type of a file that is not read, and what to do about it."""

from __future__ import annotations

import zlib

READABLE = (
    "Readable: PNG, JPEG, TIFF, BMP, PBM, PGM and PPM, 8 or 16 bit, grey or colour, TIFF also as 32-bit float; and "
    "DICOM files, which have DICM at byte 128 or begin with DICOM elements."
)

_CONVERT = "Convert it to PNG or TIFF."
_UNPACK = "Unpack it, and name what it holds."
_VOLUME = "Save its slices as PNG or TIFF images, or as DICOM."
_LEAVE = "Leave it out."

#: First bytes, what begins so, and what to do; the first that fits counts.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x00\x05\x16\x07", "the AppleDouble companion (._) of a file from a Mac", "Leave it out."),
    (b"\x00\x05\x16\x00", "an AppleSingle file from a Mac", "Copy the image again from the Mac."),
    (b"\x00\x00\x00\x01Bud1", "a folder's view settings (.DS_Store)", _LEAVE),
    (b"version https://git-lfs", "a Git LFS pointer to an image that was not downloaded", "Run: git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer to an image that was not downloaded", "Run: git annex get"),
    (b"PK\x03\x04", "a zip archive (or an office document, .npz or .jar)", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _LEAVE),
    (b"BZh", "compressed with bzip2", "Unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ\0", "compressed with xz", "Unpack it: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it: unzstd FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x89PNG", "a PNG whose line ends were changed, as by a transfer in text mode", "Copy it again in binary mode."),
    (b"GIF87a", "a GIF", _CONVERT),
    (b"GIF89a", "a GIF", _CONVERT),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image", _CONVERT),
    (b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image", _CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image", _CONVERT),
    (b"II\xbc\x01", "a JPEG XR image", _CONVERT),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"gimp xcf", "a GIMP document", _CONVERT),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", _CONVERT),
    (b"#?RADIANCE", "a Radiance HDR image", _CONVERT),
    (b"#?RGBE", "a Radiance HDR image", _CONVERT),
    (b"\0\0\x01\0", "an icon", _CONVERT),
    (b"qoif", "a QOI image", _CONVERT),
    (b"P7\n", "a PAM image", "Convert it to PNG, PGM or PPM."),
    (b"PF\n", "a PFM image", "Convert it to a TIFF of 32-bit float."),
    (b"Pf\n", "a PFM image", "Convert it to a TIFF of 32-bit float."),
    (b"SIMPLE  =", "a FITS image", _CONVERT),
    (b"AT&TFORM", "a DjVu document", "Export its page as PNG."),
    (b"%PDF", "a PDF document", "Export the image from it as PNG."),
    (b"%!PS", "a PostScript document", "Export the image from it as PNG."),
    (b"{\\rtf", "a text document (RTF)", _LEAVE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document or Thumbs.db", _LEAVE),
    (b"NRRD0", "a NRRD volume", _VOLUME),
    (b"ObjectType = Image", "a MetaImage volume", _VOLUME),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (MINC 2, MATLAB 7.3 and others)", _VOLUME),
    (b"CDF\x01", "a netCDF file (MINC 1 and others)", _VOLUME),
    (b"CDF\x02", "a netCDF file (MINC 1 and others)", _VOLUME),
    (b"MATLAB ", "a MATLAB file", "Save its images as PNG or TIFF."),
    (b"\x93NUMPY", "a numpy array", "Save it as PNG or TIFF, or pass the array to Detector."),
    (b"ZISRAWFILE", "a Zeiss CZI file", "Export it as TIFF."),
    (b"\xda\xce\xbe\x0a", "a Nikon ND2 file", "Export it as TIFF."),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", "Give it the suffix .mkv or .webm, or take frames from it."),
    (b"\0\0\x01\xba", "an MPEG video", "Give it the suffix .mpg, or take frames from it."),
    (b"OggS", "an Ogg video or sound", _LEAVE),
    (b"SQLite format 3\0", "an SQLite database", _LEAVE),
    (b"\x7fELF", "a program", _LEAVE),
    (b"MZ", "a program or library of Windows", _LEAVE),
    (b"L\0\0\0\x01\x14\x02\0", "a shortcut of Windows", "Copy the file that it points to."),
)  # fmt: skip

#: What stands after ``ftyp``, and what to do.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC image"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF image"),
    b"crx ": "a camera's raw file (CR3)",
    b"jp2 ": "a JPEG 2000 image",
}


def kind_of(content: bytes, name: str = "file") -> str:
    """What an error says of a file that no decoder here reads: what it is, as far as its bytes tell, and the remedy.

    Args:
        content: The file; its beginning is enough.
        name: Its name, to be put into commands.
    """
    found = _found(content)
    if found is None:
        return f"is not a readable image, or is truncated. {READABLE}"
    what, remedy = found
    return f"is not a readable image: it is {what}. {remedy.replace('FILE', name)}"


def _found(content: bytes) -> tuple[str, str] | None:
    if content.startswith(b"\x1f\x8b"):
        return _gzip(content)
    if content[4:8] == b"ftyp":
        if content[8:12] in _BRANDS:
            return _BRANDS[content[8:12]], _CONVERT
        return "an MP4 or QuickTime video", "Give it the suffix .mp4 or .mov, or take frames from it."
    if content.startswith(b"RIFF"):
        return {
            b"WEBP": ("a WebP image", _CONVERT),
            b"AVI ": ("an AVI video", "Give it the suffix .avi, or take frames from it."),
        }.get(content[8:12], ("a RIFF file", _LEAVE))
    if _is_nifti(content):
        return "a NIfTI volume", _VOLUME
    if content[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and len(content) >= 348:
        return "the header of an Analyze volume", _VOLUME
    if content[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    for beginning, what, remedy in _BEGINNINGS:
        if content.startswith(beginning):
            return what, remedy
    if not content[:65536].strip(b"\0"):
        return "nothing but zeros: its copy was broken off", "Copy it again."
    return _text(content[:4096])


def _is_nifti(content: bytes) -> bool:
    return content[344:348] in (b"n+1\0", b"ni1\0") or content[4:8] in (b"n+2\0", b"ni2\0")


def _gzip(content: bytes) -> tuple[str, str]:
    try:
        inner = zlib.decompressobj(wbits=31).decompress(content[:65536], 1024)
    except zlib.error:
        inner = b""
    if _is_nifti(inner):
        return "a NIfTI volume, compressed with gzip", _VOLUME
    held = _found(inner) if inner and not inner.startswith(b"\x1f\x8b") else None
    return "compressed with gzip" + (f" ({held[0]})" if held else ""), "Unpack it: gunzip FILE"


def _text(beginning: bytes) -> tuple[str, str] | None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if beginning.startswith(mark):
            words = beginning.decode(encoding, "replace")
            return ("text", READABLE) if words[1:].isprintable() or "\n" in words else None
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in beginning):
        return None
    start = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML), perhaps an error or a log-in in place of a download", "Download the image again."
    if start.startswith((b"<?xml", b"<svg", b"<!doctype")):
        return "an XML or SVG document", "Export it as PNG."
    try:
        beginning[:-3].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "text", READABLE
