"""Estimate the memory that an image takes to read, from its header, before a pixel is decoded."""

from __future__ import annotations

from functools import lru_cache

from medanomaly.imaging import declared_size

#: Bytes a pixel at the height of reading for the model, measured on PNGs of 100 million pixels (6.3 and 4.2): as
#: stored, as the decoder keeps them, and what is scaled by bands.
_COLOUR, _GREY = 8, 5


@lru_cache(maxsize=8192)
def weight(address: str) -> int:
    """Bytes that the reading of a file, or of one frame of it, takes at its height; 0 where its header does not say.

    Args:
        address: As the detector reads it, ``FILE`` or ``FILE#frame=N``.
    """
    try:
        height, width, samples = declared_size(address)
    except Exception:  # of any kind on damaged files; what cannot be read takes no memory: the reading says why
        return 0
    return height * width * (_GREY if samples == 1 else _COLOUR)
