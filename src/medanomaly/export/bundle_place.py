"""Put a bundle in its place: what an export may replace there, and how, so that a kill leaves one of the two whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from medanomaly.decision.operating_point_log import LOG
from medanomaly.edge.bundle import CARD, FORMAT, GRAPH, ONNX, SCORES, WEIGHTS
from medanomaly.export.errors import ExportError
from medanomaly.failures import cannot_write
from medanomaly.folder_lock import OWN, NoLocksError, OneWriterError, only_writer

_OTHER = "Choose another folder for --out."
#: What each line of a log of ours says, see :class:`medanomaly.decision.operating_point_log.OperatingPointChange`.
_LOGGED = {"old", "new", "date"}
#: What systems leave in folders that they show, in lower case.
_OF_SYSTEM = {".ds_store", "thumbs.db", "desktop.ini"}
#: Foreign files that a message names at most.
_NAMED = 3


def place_of(out: str | Path) -> Path:
    """The folder that ``out`` names, without links, checked before any work; nothing is written.

    Raises:
        ExportError: if it is a file, a mount point or the folder one is in, or holds what is not a bundle's own.
    """
    given = Path(out)
    try:
        place = given.resolve()
        if not os.path.lexists(given):
            above = next((one for one in given.parents if os.path.lexists(one)), None)
            if above is not None and not above.is_dir():
                raise ExportError(f"{above}: cannot be written (it is no folder). Name another place with --out.")
            return place
        if not place.is_dir():
            what = "is no folder" if given.is_symlink() else "exists and is not a bundle"
            raise ExportError(f"{given}: {what}. {_OTHER}")
        if Path.cwd().is_relative_to(place):
            raise ExportError(f"{given}: is the folder you are in, which would be replaced. {_OTHER}")
        if place.is_mount():
            raise ExportError(f"{given}: is a mount point, which cannot be replaced. Name a folder in it.")
        _check(place, given)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads back to itself, up to Python 3.12
        why = getattr(error, "strerror", None) or error
        raise ExportError(f"{given}: cannot be looked into ({why}). {_OTHER}") from error
    return place


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Be the only one that writes a bundle into a place, and make its folder meanwhile where it is missing.

    Raises:
        ExportError: if another process writes into it, or it cannot be made.
    """
    _recover(place)
    made = not place.exists()
    with ExitStack() as stack:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with suppress(NoLocksError):  # some clusters' disks have none: the last one to finish wins there
                stack.enter_context(only_writer(place, f"Wait for its end. {_OTHER}"))
        except OneWriterError as error:
            raise ExportError(str(error)) from error
        except OSError as error:
            raise ExportError(cannot_write(error.filename or place, error, "Name another place with --out.")) from error
        try:
            yield
        except BaseException:
            if made:
                stack.close()  # its files are in the folder
                with suppress(OSError):  # somebody wrote into it
                    place.rmdir()
            raise


def put(part: Path, place: Path) -> None:
    """Put a whole bundle in its place: the old one goes aside, the new one in, and then the old one's files go.

    After a kill in between both are there, the old one under a hidden name; the next export puts it back.

    Raises:
        ExportError: if somebody has put something else into the place meanwhile.
        OSError: if it cannot be written; the old bundle stays.
    """
    _check(place, place)
    if (place / LOG).is_file():  # of its decisions so far, each with its date
        (part / LOG).write_bytes((place / LOG).read_bytes())
    aside = _aside(place)
    place.rename(aside)
    try:
        part.rename(place)
    except BaseException:
        aside.rename(place)
        raise
    _take_away(aside)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}-before")


def _recover(place: Path) -> None:
    """Go on with a :func:`put` that was killed."""
    aside = _aside(place)
    if aside.is_symlink() or not aside.is_dir() or (any(aside.iterdir()) and _card(aside) is None):
        return
    with suppress(OSError):
        if place.exists():
            _take_away(aside)
        else:
            aside.rename(place)


def _take_away(folder: Path) -> None:
    """Take away a bundle's own files, and the folder if it holds no more."""
    own = _own(folder)
    with suppress(OSError):
        # The card last: without it nobody would know what the folder was.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == CARD):
            if path.name in own or _nobodys(path):
                path.unlink()
        folder.rmdir()


def _card(folder: Path) -> dict[str, Any] | None:
    """The card, if it is of a bundle of ours."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return card if isinstance(card, dict) and card.get("format") == FORMAT else None


def _own(folder: Path) -> set[str]:
    """Names of the files that a bundle's card stands for."""
    card = _card(folder)
    if card is None:
        return set()
    files = card.get("files")
    onnx = {ONNX} if isinstance(files, dict) and ONNX in files else set()
    return {CARD, GRAPH, WEIGHTS, LOG} | onnx | ({SCORES} if card.get("validation") else set())


def _check(place: Path, named: Path) -> None:
    """See that a folder holds a bundle's own files alone, or none.

    Raises:
        ExportError: if not; names what else it holds.
    """
    found = sorted(path for path in place.iterdir() if not _nobodys(path))
    if not found:
        return
    if _card(place) is None:
        raise ExportError(f"{named}: exists and is not a bundle. {_OTHER}")
    own = _own(place)
    foreign = [path.name for path in found if path.name not in own or (path.is_dir() and not path.is_symlink())]
    if foreign:
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        raise ExportError(
            f"{named}: holds {', '.join(foreign[:_NAMED])}{more} beside the bundle, which would be lost with it. "
            "Move away what is not the bundle's, or choose another folder."
        )
    if (place / LOG).is_file() and not _is_log(place / LOG):
        raise ExportError(f"{named / LOG}: is not the log that `medanomaly decide` writes. Move it away.")


def _nobodys(path: Path) -> bool:
    """Whether a file is of a lock, or of the system: nothing is lost with it."""
    return (path.name.startswith(OWN) or path.name.lower() in _OF_SYSTEM) and not path.is_dir()


def _is_log(path: Path) -> bool:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError):
        return False
    return all(isinstance(line, dict) and set(line) >= _LOGGED for line in lines)
