"""A patient's name, planted in paths and headers, and a search for it in every byte of what a command leaves."""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

#: A name that no program has in it, with a letter that encodings differ in.
NAME = "Zörgiebel"
#: What stands in headers.
PATIENT_ID, ACCESSION, HOSPITAL = "ZQ4711XJ", "ACC88123Y", "Xanthosklinik"
HEADER = {
    "PatientName": f"{NAME}^Quuxine",
    "PatientID": PATIENT_ID,
    "AccessionNumber": ACCESSION,
    "InstitutionName": HOSPITAL,
    "SpecificCharacterSet": "ISO_IR 192",
}
#: Its end is the same in most encodings, and in names that were decoded wrongly.
WORDS = (NAME, "rgiebel", "Quuxine", PATIENT_ID, ACCESSION, HOSPITAL)


def _forms(word: str) -> set[bytes]:
    texts = {word, word.upper(), word.lower(), json.dumps(word)[1:-1], quote(word)}
    texts.add(word.encode("unicode_escape").decode())
    encodings = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-7", "cp437")
    return {text.encode(encoding).lower() for text in texts for encoding in encodings}


FORMS = {form: word for word in WORDS for form in _forms(word)}
_ANY = re.compile(b"|".join(re.escape(form) for form in sorted(FORMS, key=len, reverse=True)))


#: How packed parts begin, and what unpacks them.
_PACKED = (
    (b"\xfd7zXZ\0", lzma.LZMADecompressor),
    (b"x\x9c", zlib.decompressobj),
    (b"x\xda", zlib.decompressobj),
    (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
)


def planted_in(data: bytes | str) -> set[str]:
    """The planted words in a text or a file's content, in any of the usual encodings."""
    data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return {FORMS[match] for match in _ANY.findall(data.lower())}


def planted_below(folder: Path) -> dict[str, set[str]]:
    """The planted words in names and content of all that lies in a folder, and inside compressed parts of it."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        name = str(path.relative_to(folder.parent))
        words = planted_in(path.name)
        for data in _contents(path.read_bytes()) if path.is_file() else ():
            words |= planted_in(data)
        if words:
            found[name] = words
    return found


def _contents(data: bytes) -> Iterator[bytes]:
    """A file's bytes, and what is packed in them: zip (npz), xz, and zlib or gzip streams wherever they begin."""
    yield data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield member.encode()
                yield from _contents(archive.read(member))
    for mark, opened in _PACKED:
        for match in re.finditer(re.escape(mark), data):
            try:
                yield opened().decompress(data[match.start() :])
            except (lzma.LZMAError, zlib.error):
                continue
