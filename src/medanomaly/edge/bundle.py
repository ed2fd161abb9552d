"""Read a bundle: ``model.xml``, ``model.bin`` and ``card.json``, which says how to read an image and to decide."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.decision.old_caveat_titles import as_meant
from medanomaly.edge.card_numbers import wrong_number
from medanomaly.edge.input_spec import InputSpec
from medanomaly.errors import MedAnomalyError
from medanomaly.files import sha256
from medanomaly.imaging import Preprocessing

#: Version of the card's layout that this runtime writes; it reads earlier ones too. 2: an operating point may have a
#: centre, and an earlier runtime would ignore it. 3: the card names the form of the graph's input, and the graph's
#: outputs are decided.
SCHEMA = 3
FORMAT = "medanomaly-bundle"
CARD, GRAPH, WEIGHTS = "card.json", "model.xml", "model.bin"
#: A copy for other runtimes, on request.
ONNX = "model.onnx"
#: Scores of the validation images, without their paths; the card names it and its SHA-256 where there is one.
SCORES = "validation.csv"


class BundleError(MedAnomalyError, ValueError):
    """A bundle cannot be used. The message names the bundle, what is wrong, and what to do."""


def _unreadable(file: Path, error: OSError) -> BundleError:
    return BundleError(
        f"{file}: cannot be read ({error.strerror or error}). Allow reading it, or copy the whole folder again."
    )


def read_card(path: Path) -> dict[str, Any]:
    """The card of a bundle.

    Raises:
        BundleError: if there is none, it cannot be read, is not a card, or was written by a newer version.
    """
    try:
        text = (path / CARD).read_text(encoding="utf-8") if (path / CARD).is_file() else None
        card = None if text is None else json.loads(text)
    except OSError as error:
        raise _unreadable(path / CARD, error) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path / CARD}: is not readable JSON ({error}). Export the bundle again.") from error
    if text is None:
        raise BundleError(f"{path}: is not a bundle (it has no {CARD}). Write one with `medanomaly export`.")
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise BundleError(f"{path / CARD}: is not the card of a medanomaly bundle.")
    if not isinstance(card.get("schema"), int) or card["schema"] > SCHEMA:
        raise BundleError(
            f"{path}: was written in layout {card.get('schema')}, this version reads up to {SCHEMA}. Update medanomaly."
        )
    return as_read(card)


def as_read(card: dict[str, Any]) -> dict[str, Any]:
    """A card as this version reads it, from its file or a graph: see :mod:`medanomaly.decision.old_caveat_titles`."""
    return {**card, "caveats": as_meant(card["caveats"])} if "caveats" in card else card


def differences(path: Path, card: dict[str, Any]) -> list[str]:
    """What is wrong with the files that a card names by their SHA-256: a sentence each, with the file and the remedy.

    Raises:
        BundleError: if the card does not name the files that a bundle has, or one cannot be read.
    """
    files = card.get("files")
    if not isinstance(files, dict) or set(files) - {ONNX} != {GRAPH, WEIGHTS}:
        raise BundleError(f"{path / CARD}: lists other files than {GRAPH} and {WEIGHTS}. Export the bundle again.")
    found = []
    for name, expected in files.items():
        try:
            missing = not (path / name).is_file()
            altered = not missing and sha256(path / name) != expected
        except OSError as error:
            raise _unreadable(path / name, error) from error
        if missing:
            found.append(f"{path}: lacks {name}. Copy the whole folder again.")
        elif altered:
            found.append(
                f"{path / name}: was altered since the export, or is another bundle's (its SHA-256 is not the card's). "
                "Copy the whole folder again."
            )
    return found


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    Args:
        path: Its folder.
        card: The content of ``card.json``.
        reading: How images are read.
        form: In which form the graph takes them.
    """

    path: Path
    card: dict[str, Any]
    reading: Preprocessing
    form: InputSpec

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open and check a bundle.

        Raises:
            BundleError: if a file is missing or altered, the card is not a card or has an operating point that cannot
                decide, or it was written by a newer version.
        """
        path = Path(path)
        card = read_card(path)
        for problem in differences(path, card):
            raise BundleError(problem)
        try:
            reading = Preprocessing.from_dict(card["reading"])
            form = InputSpec.of(card)
            wrong = wrong_number(card["operating_point"])
            if wrong is None:
                DecisionFunction.of(card["operating_point"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"{path / CARD}: is incomplete ({type(error).__name__}: {error}).") from error
        if wrong:
            raise BundleError(f"{path / CARD}: {wrong}. Copy the whole folder again, or export it again.")
        return cls(path, card, reading, form)
