"""Name the cached images of a split: the key changes whenever an image would read differently."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.data.dataset import RowReader
from medanomaly.data.renamed_options import RENAMED

#: Files of this room whose code makes pixels, beside all of ``imaging``.
_MAKERS = ("synthetic_anomalies.py", "foreign_images.py")

#: Options that do not change pixels, or that are already part of the cache key.
_NOT_PIXELS = frozenset(
    {
        "root",
        "train_batch_size",
        "eval_batch_size",
        "num_workers",
        "cache_mb",
        "cache_dir",
        "on_error",
        "training",
        "validation",
        "contamination",
        *RENAMED.values(),
    }
)


def cache_key(reader: RowReader, options: Mapping[str, Any], plugin: type) -> str | None:
    """The key of a reader's images; None where a change of a file could not be noticed.

    Args:
        reader: Of the rows of one split.
        options: Options of the data module.
        plugin: Its class.
    """
    stamps = [(source, stamp(source) if source else "") for source in reader.sources()]
    if any(found is None for _, found in stamps):
        return None
    used: dict[str, str] = {}
    if reader.decode is not None:  # what the plugin's decoding depends on is known to it alone
        used = {name: str(value) for name, value in options.items() if name not in _NOT_PIXELS}
        used["class"] = f"{plugin.__module__}.{plugin.__qualname__}"
    return key_of(reader.reading.to_dict(), reader.masks, reader.synthetic(), reader.seed, used, stamps)


def key_of(*parts: object) -> str:
    """A name (40 hex digits) that changes when any part does, or the code that reads images.

    Args:
        parts: JSON values.
    """
    import cv2

    from medanomaly import imaging

    digest = hashlib.sha256(f"{cv2.__version__} {np.__version__}".encode())
    here = Path(__file__)
    for file in [*sorted(Path(imaging.__file__).parent.glob("*.py")), *map(here.with_name, _MAKERS)]:
        digest.update(file.read_bytes())
    digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.hexdigest()[:40]


def stamp(address: str) -> str | None:
    """Size and time of change of an image's file, or of the archive before ``#``; None where there is neither."""
    for path in (address, address.rpartition("#")[0]):
        if path:
            with contextlib.suppress(OSError):
                status = Path(path).stat()
                return f"{status.st_size}:{status.st_mtime_ns}"
    return None
