"""Options of data modules with another name than in version 0.1.0; the old one works for one release."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

#: The new name of each option by its old one.
RENAMED = {
    "artificial": "synthetic_anomalies",
    "artificial_splits": "synthetic_splits",
    "artificial_per_image": "synthetic_per_image",
}


def resolved(old: str, given: Any, value: Any, default: Any) -> Any:
    """The value of an option, whichever of its two names was used; the old one is warned of.

    Args:
        old: Its old name.
        given: What was given by that name; None for nothing.
        value: What it has by its new name.
        default: What it has by its new name if nothing is given.

    Raises:
        ValueError: if both names are used.
    """
    if given is None:
        return value
    new = RENAMED[old]
    plain = list(value) if isinstance(value, tuple) else value  # a command line makes lists of tuples
    if plain != (list(default) if isinstance(default, tuple) else default):
        raise ValueError(f"{new} and its old name {old} are both given. Leave {old} out")
    logger.warning("The option %s is called %s now. The old name works for this release alone.", old, new)
    return given


def translated(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as an earlier version recorded them, by their names of today."""
    return {RENAMED.get(name, name): value for name, value in options.items()}
