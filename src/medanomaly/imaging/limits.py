"""``ImageError``, and the limits on an image's size."""

from __future__ import annotations

from medanomaly.errors import MedAnomalyError

#: Refuse images of more pixels: a small file can declare a huge picture.
MAX_PIXELS = 100_000_000

#: Refuse files of more frames: a count of billions costs its file four bytes.
MAX_FRAMES = 100_000


class ImageError(MedAnomalyError, ValueError):
    """An image cannot be used. The message names the file, what is wrong, and what to do."""
