"""Header fields of a DICOM file for the viewer: technique always, the patient only when asked."""

from __future__ import annotations

from pathlib import Path

from medanomaly.imaging import ImageError

#: Shown without being asked for: none tells who, where or when.
_TECHNIQUE = (
    "Modality", "BodyPartExamined", "ViewPosition", "ImageLaterality", "Rows", "Columns", "NumberOfFrames",
    "BitsStored", "PhotometricInterpretation", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept",
    "PixelSpacing", "ImagerPixelSpacing", "SliceThickness", "KVP", "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
#: Shown only when asked for.
_PERSONAL = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "AccessionNumber", "StudyDate",
    "StudyDescription", "SeriesDescription", "InstitutionName", "ReferringPhysicianName",
)  # fmt: skip


def header(path: Path, personal: bool = False) -> dict[str, str]:
    """Attributes of a DICOM file by their names.

    Args:
        path: The file.
        personal: Whether names, numbers, dates and free texts are among them.

    Raises:
        ImageError: if the header cannot be read; the message holds nothing of it.
    """
    from pydicom.datadict import dictionary_description, tag_for_keyword

    from medanomaly.imaging.dicom_open import read_header

    wanted = (_PERSONAL if personal else ()) + _TECHNIQUE
    try:
        data = read_header(path)
        found = {}
        for keyword in wanted:
            value = data.get(keyword)
            tag = tag_for_keyword(keyword)
            if value is not None and str(value) and tag is not None:
                found[dictionary_description(tag)] = str(value)[:200]
        return found
    except Exception as error:  # pydicom raises every kind of error on damaged files, with their content in the text
        raise ImageError(f"its DICOM header cannot be read ({type(error).__name__}).") from None
