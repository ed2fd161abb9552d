"""Open a DICOM file once for all its frames: header, checked sizes, and where its pixels lie."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medanomaly.imaging import dicom_deflated
from medanomaly.imaging.dicom_declared import PIXELS, allocated, check_picture, declared_frames
from medanomaly.imaging.dicom_frames import FrameError, Piece, Source, compressed_frames, read_pieces
from medanomaly.imaging.dicom_kinds import kind_of, no_image
from medanomaly.imaging.limits import ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

# pydicom warns of files that our errors name, or that are read all the same.
warnings.filterwarnings("ignore", module=r"pydicom\b")

_MOST_ELEMENTS = 100_000

_SMALL = 8 << 20
_KEPT_FILES, _KEPT_BYTES = 4, dicom_deflated.LIMIT
#: A file written a moment ago may be written again within one tick of its file system's clock.
_SETTLED = 0.1


class _Clamped(io.BufferedReader):
    """A file that is never asked for more than it has: as many bytes as a damaged length says would be allocated."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self.size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@dataclass(frozen=True)
class Opened:
    """What is known of a DICOM file before a pixel is decoded.

    Args:
        path: The file.
        data: Its header, up to the pixels.
        syntax: Its transfer syntax.
        keyword: ``PixelData``, ``FloatPixelData`` or ``DoubleFloatPixelData``.
        count: Its frames.
        start: Place of the pixels in the file, or in what it inflates to.
        words: Whether the pixels are declared as words of two bytes (OW).
        frames: Pieces of each compressed frame; None for native pixels.
        inflated: The data set of a deflated file.
    """

    path: Path
    data: Dataset
    syntax: UID
    keyword: str
    count: int
    start: int
    words: bool
    frames: list[Sequence[Piece]] | None
    inflated: dicom_deflated.Inflated | None

    @property
    def weight(self) -> int:
        """Bytes that are kept with it."""
        pieces = 64 * sum(map(len, self.frames)) if self.frames else 0
        return self.inflated.size if self.inflated else self.start + pieces

    def bits(self) -> int:
        """Bits of one native frame."""
        data = self.data
        bits = data.Rows * data.Columns * int(data.get("SamplesPerPixel") or 1) * allocated(data, self.keyword)
        return bits * 2 // 3 if data.get("PhotometricInterpretation") == "YBR_FULL_422" else bits

    def stream(self, index: int) -> bytes:
        """The bytes of one frame as stored, from 0: its compressed stream, or its native values.

        Frames of single bits begin within a byte; :meth:`bits` says where.
        """
        if self.frames is not None:
            with _Clamped(self.path) as source:
                return read_pieces(source, self.frames[index])
        first, last = index * self.bits() // 8, -(-(index + 1) * self.bits() // 8)
        # Words of big-endian files hold pairs of single bytes the other way round.
        swapped = self.words and not self.syntax.is_little_endian and allocated(self.data, self.keyword) == 8
        start, end = (first - first % 2, last + last % 2) if swapped else (first, last)
        if self.inflated:
            content = self.inflated.at(self.start + start, end - start)
        else:
            with _Clamped(self.path) as source:
                source.seek(self.start + start)
                content = source.read(end - start)
        if swapped:
            content = b"".join(content[i + 1 : i + 2] + content[i : i + 1] for i in range(0, len(content), 2))
        return content[first - start : last - start]


def _source(path: Path) -> Any:
    """The file to read from: a small one from memory, where its elements are parsed in half the time."""
    file = _Clamped(path)
    if file.size > _SMALL:
        return file
    with file:
        return io.BytesIO(file.read())


class _Recent:
    """The files opened last, for their next frames; few, and small together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Start anew; also in a forked process, whose parent may hold the lock."""
        self.__init__()  # type: ignore[misc]

    def get(self, key: tuple[Any, ...]) -> Opened | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple[Any, ...], opened: Opened) -> None:
        if opened.weight > _KEPT_BYTES:
            return
        with self._lock:
            self._kept[key] = opened
            while len(self._kept) > _KEPT_FILES or sum(each.weight for each in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)


_recent = _Recent()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_recent.forget)


def open_dicom(path: Path, mask: bool = False) -> Opened:
    """Open a DICOM file, or find it opened already: a file of many frames is parsed once, not once a frame.

    Args:
        path: The file.
        mask: Whether a mask is asked for, which a segmentation is.

    Raises:
        ImageError: if it is no image, declares more than the limits or than it holds, or is not read.
    """
    state = path.stat()
    key = (str(path), mask, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    known = _recent.get(key)
    if known is None:
        known = _open(path, mask)
        if known.count > 1 and time.time() - state.st_mtime > _SETTLED:
            _recent.keep(key, known)
    return known


def read_header(path: Path) -> Dataset:
    """The elements of any DICOM file up to its pixels, of images and of what is none.

    Raises:
        ImageError: if the file is damaged or inflates beyond the limits.
        Exception: pydicom raises every kind of error on damaged files.
    """
    with _parsed(path) as (data, _, _):
        return data


@contextmanager
def _parsed(path: Path) -> Iterator[tuple[Dataset, Any, dicom_deflated.Inflated | None]]:
    """Header, and what the pixels are read from, which stands at their element."""
    from pydicom.filereader import read_partial

    with _source(path) as file:
        after, deflated = dicom_deflated.data_set_after(file)
        inflated = dicom_deflated.Inflated(path, after) if deflated else None
        source: Any = inflated or file
        source.seek(after)
        if source.read(2) == b"\0\0":  # pydicom would take each eight zeros for an element
            raise ImageError(f"{path}: is a damaged DICOM file (zeros for its elements). Export or send it again.")
        source.seek(0)
        data = read_partial(source, _until_pixels(path), force=True)
        data.buffer = None  # the header is kept, the file that it was read from is not
        yield data, source, inflated


def _open(path: Path, mask: bool) -> Opened:
    with _parsed(path) as (data, source, inflated):
        place = source.tell()
        element = source.read(12)
        if reason := no_image(data, mask):
            raise ImageError(f"{path}: {reason}")
        syntax = _syntax(data)
        if not syntax.is_transfer_syntax or syntax.is_private:
            raise ImageError(f"{path}: has the transfer syntax {syntax}, which is not read. Export it anew.")
        keyword, start, length, words = _pixels(path, data, place, element)
        check_picture(path, data, keyword)
        count = declared_frames(path, data)
        known = Opened(path, data, syntax, keyword, count, start, words, None, inflated)
        encapsulated = syntax.is_encapsulated
        if encapsulated != (length is None):
            how = "compressed" if encapsulated else "plain"
            raise ImageError(
                f"{path}: declares {how} pixels and holds others ({syntax.name}). Export or send it again."
            )
        if encapsulated:
            return Opened(path, data, syntax, keyword, count, start, words, _frames(known, source), None)
        needed = -(-known.bits() * count // 8)
        if inflated:
            if start + needed > dicom_deflated.LIMIT:
                raise ImageError(
                    f"{path}: is deflated DICOM of more than {dicom_deflated.LIMIT >> 20} MiB. "
                    "Inflate it first: dcmconv +te in.dcm out.dcm"
                )
            inflated.finish(start + needed)
        held = min(length or 0, (inflated.size if inflated else path.stat().st_size) - start)
        if held < needed:
            frames = f"{count} frames" if count > 1 else "a picture"
            raise ImageError(
                f"{path}: declares {frames} but holds fewer bytes than that takes. Copy or export it again."
            )
        return known


def _until_pixels(path: Path) -> Callable[[int, str | None, int], bool]:
    """When to stop reading elements: at the pixels. A file of zeros would be read as elements without end."""
    left = iter(range(_MOST_ELEMENTS))

    def stop(tag: int, _representation: str | None, _length: int) -> bool:
        if next(left, None) is None:
            raise ImageError(
                f"{path}: is a damaged DICOM file (over {_MOST_ELEMENTS} elements). Export or send it again."
            )
        return tag in PIXELS

    return stop


def _syntax(data: Dataset) -> UID:
    from pydicom import uid

    named = data.file_meta.get("TransferSyntaxUID")
    if named:
        return uid.UID(named)
    implicit, little = data.original_encoding
    # Without meta information, as in files without a preamble, the elements themselves have told how they are written.
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def _pixels(path: Path, data: Dataset, place: int, element: bytes) -> tuple[str, int, int | None, bool]:
    """Keyword of the pixels, place of their value, its length (None if undefined), and whether it is of words."""
    order = "<" if data.original_encoding[1] else ">"
    group, number = struct.unpack_from(order + "HH", element.ljust(12, b"\0"))
    keyword, _ = PIXELS.get(group << 16 | number, ("", None))
    if not keyword or len(element) < 8:
        raise ImageError(
            f"{path}: has no pixel data ({kind_of(data)}). Leave it out, or choose the series with the images."
        )
    # Some writers change to implicit elements within an explicit file, whatever its syntax says.
    implicit = element[4:6] not in (b"OB", b"OW", b"OF", b"OD", b"UN", b"OL", b"OV")
    (length,) = struct.unpack_from(order + "I", element.ljust(12, b"\0"), 4 if implicit else 8)
    start = place + (8 if implicit else 12)
    return keyword, start, None if length == 0xFFFFFFFF else length, implicit or element[4:6] == b"OW"


def _frames(opened: Opened, source: Source) -> list[Sequence[Piece]]:
    data = opened.data
    offsets, lengths = data.get("ExtendedOffsetTable"), data.get("ExtendedOffsetTableLengths")
    extended = (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None
    try:
        return compressed_frames(source, opened.start, opened.count, extended)
    except FrameError as error:
        raise ImageError(f"{opened.path}: {error}. Copy or export it again.") from None
