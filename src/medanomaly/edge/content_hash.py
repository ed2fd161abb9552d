"""Hash images by content, so that a record names them without paths, which may tell who a patient is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medanomaly.files import sha256
from medanomaly.imaging import split_frame


class Contents:
    """SHA-256 of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, address: str | Path) -> dict[str, Any] | None:
        """``sha256`` of the file, and ``frame`` if one of its frames is addressed; None if there is no such file."""
        file, frame = split_frame(address)
        if not file.is_file():
            return None
        if file not in self._known:
            self._known[file] = sha256(file)
        return {"sha256": self._known[file], **({} if frame is None else {"frame": frame})}
