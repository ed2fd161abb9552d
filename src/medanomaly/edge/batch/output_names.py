"""Names of the files written for an input."""

from __future__ import annotations

import re
from pathlib import Path


def file_name(number: int, path: str) -> str:
    """A name without suffix; the record's number, from 0, keeps files of one name in different folders apart."""
    # The mark counts at the end of the name alone: a folder may be called "x#frame=2 of 3".
    name = Path(path).name
    frame = re.fullmatch(r"(.*)#frame=(\d{1,9})", name, re.DOTALL)
    stem = Path(frame[1] if frame else name).stem[:50]
    return f"{number:06d}-{stem}" + (f"-{frame[2]}" if frame else "")
