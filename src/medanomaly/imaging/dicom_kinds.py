"""Name DICOM objects that are no image.

Some of them hold pixels: a segmentation, a dose grid, a screen capture of results. Scored as an image each would get a
score without meaning, and a chain of programs would feed on its own results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LEAVE_OUT = "Leave it out, or choose the series with the images."
_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Segmentations: bit planes or shares, and label maps.
SEGMENTATIONS = frozenset({_STORAGE + "66.4", _STORAGE + "66.7"})
_IMAGES_OF_RADIOTHERAPY = frozenset({_STORAGE + "481.1", _STORAGE + "481.23", _STORAGE + "481.24"})
#: Beginnings of SOP classes (PS3.6 table A-1), the longer ones first, and what their objects are.
_KINDS = (
    (_STORAGE + "66.", "a segmentation (SEG)"),
    (_STORAGE + "66", "raw data or a registration"),
    (_STORAGE + "30", "a parametric map"),
    (_STORAGE + "481.3", "a structure set (RT Structure Set)"),
    (_STORAGE + "481.", "an object of radiotherapy"),
    (_STORAGE + "11.", "a presentation state"),
    (_STORAGE + "88.59", "a key object selection"),
    (_STORAGE + "88.", "a structured report (SR)"),
    (_STORAGE + "104.", "an encapsulated document"),
    (_STORAGE + "9.", "a waveform"),
    (_STORAGE + "67", "a mapping of values"),
    (_STORAGE + "131", "a display layout"),
    ("1.2.840.10008.5.1.4.38.", "a hanging protocol"),
    ("1.2.840.10008.5.1.4.39.", "a colour palette"),
)
#: Its pixels are read, value for value; no model takes it for an image.
_DOSE = _STORAGE + "481.2"
_DIRECTORY = "1.2.840.10008.1.3.10"
_SECONDARY_CAPTURE = _STORAGE + "7"
#: What makers write into Image Type for captures of a screen with its overlays.
_CAPTURES = frozenset({"SCREEN SAVE", "SCREENSAVE", "SCREEN CAPTURE", "SCREEN_CAPTURE", "SCREENSHOT", "OVERLAY"})
#: Conversion Type (PS3.3 C.8.6.1): scanned documents and drawings; film, video and workstation stay images.
_PAPER = {"SD": "a scanned document", "DRW": "a drawing"}


def sop_class(data: Dataset) -> str:
    """The SOP class of the data set, or else of its file; empty if neither says."""
    meta = getattr(data, "file_meta", None) or {}
    return str(data.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "").strip()


def kind_of(data: Dataset) -> str:
    """The name of its SOP class for errors, as ``CT Image Storage``."""
    from pydicom.uid import UID

    return UID(sop_class(data)).name or "of unknown SOP class"


def no_image(data: Dataset, mask: bool) -> str | None:
    """What an object is that is no image, and what to do: the end of a sentence that begins with the file's name.

    Args:
        data: Its header.
        mask: Whether a mask is asked for, which a segmentation is.

    Returns:
        None for an image.
    """
    uid = sop_class(data)
    if uid == _DIRECTORY:
        return "is the table of contents of a DICOM medium (DICOMDIR), not an image. Name the folder that it lies in."
    if uid in SEGMENTATIONS:
        return None if mask else "is a segmentation (SEG), not an image. Use it as a mask, or leave it out."
    if uid not in _IMAGES_OF_RADIOTHERAPY and uid != _DOSE:
        for beginning, kind in _KINDS:
            if uid == beginning or (uid.startswith(beginning) and beginning.endswith(".")):
                return f"is {kind}, not an image ({kind_of(data)}). {_LEAVE_OUT}"
    if mask:
        return None
    if _text(data, "Manufacturer").casefold().startswith("medanomaly"):
        return f"is a result of medanomaly, not an image. {_LEAVE_OUT}"
    if uid == _SECONDARY_CAPTURE or uid.startswith(_SECONDARY_CAPTURE + "."):
        return _capture(data)
    return None


def not_to_score(data: Dataset) -> str | None:
    """Of an object whose pixels can be read and mean no picture, as :func:`no_image` says it; None for an image."""
    if sop_class(data) != _DOSE:
        return None
    return f"is a dose distribution (RT Dose), not an image ({kind_of(data)}). {_LEAVE_OUT}"


def _capture(data: Dataset) -> str | None:
    """Secondary captures of paper, or of an image on a screen with what was drawn over it."""
    types = data.get("ImageType") or ()
    words = {str(word).strip().upper() for word in ((types,) if isinstance(types, str) else types)}
    if paper := _PAPER.get(_text(data, "ConversionType").upper()):
        return f"is {paper}, not an image. {_LEAVE_OUT}"
    # A lossy copy is derived from a source too, and a photograph may have text burned in: both together are a capture.
    drawn = _text(data, "BurnedInAnnotation").upper() == "YES" and bool(data.get("SourceImageSequence"))
    if words & _CAPTURES or ("DERIVED" in words and drawn):
        return f"is a secondary capture of an image with overlays, not an image itself. {_LEAVE_OUT}"
    return None


def _text(data: Dataset, key: str) -> str:
    return str(data.get(key) or "").strip()
