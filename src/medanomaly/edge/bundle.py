"""The bundle: ``model.xml``, ``model.bin`` and ``card.json``, which says how to read an image and how to decide."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medanomaly.decision.decider import Decider
from medanomaly.imaging import Reading

#: Version of the card's layout that this runtime writes; it reads earlier ones too. 2: an operating point may have a
#: centre, and an earlier runtime would ignore it.
SCHEMA = 2
FORMAT = "medanomaly-bundle"
CARD, GRAPH, WEIGHTS = "card.json", "model.xml", "model.bin"
#: Scores of the validation images, without their paths; the card names it and its SHA-256 where there is one.
SCORES = "validation.csv"


class BundleError(ValueError):
    """A bundle cannot be used. The message names the bundle, what is wrong, and what to do."""


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    Args:
        path: Its folder.
        card: The content of ``card.json``.
        reading: How images are read.
    """

    path: Path
    card: dict[str, Any]
    reading: Reading

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open and check a bundle.

        Raises:
            BundleError: if a file is missing or altered, the card is not a card, or it was written by a newer version.
        """
        path = Path(path)
        if not (path / CARD).is_file():
            raise BundleError(f"{path}: is not a bundle (it has no {CARD}). Write one with `medanomaly export`.")
        try:
            card = json.loads((path / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(f"{path / CARD}: is not readable JSON ({error}). Export the bundle again.") from error
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            raise BundleError(f"{path / CARD}: is not the card of a medanomaly bundle.")
        if not isinstance(card.get("schema"), int) or card["schema"] > SCHEMA:
            raise BundleError(
                f"{path}: was written in layout {card.get('schema')}, this version reads up to {SCHEMA}. "
                "Update medanomaly."
            )
        try:
            for name, expected in card["files"].items():
                if not (path / name).is_file():
                    raise BundleError(f"{path}: lacks {name}. Copy the whole folder again.")
                if sha256(path / name) != expected:
                    raise BundleError(f"{path / name}: was altered since the export (its SHA-256 differs).")
            if set(card["files"]) != {GRAPH, WEIGHTS}:
                raise BundleError(f"{path / CARD}: lists other files than {GRAPH} and {WEIGHTS}.")
            reading = Reading.from_dict(card["reading"])
            Decider.of(card["operating_point"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(f"{path / CARD}: is incomplete ({type(error).__name__}: {error}).") from error
        return cls(path, card, reading)
