"""``infer --anonymous``: replace inputs by keyed hashes; nothing left or printed holds a path or header.

A plain hash of a path hides nothing: names of patients can be guessed and hashed. The hash here is an HMAC with a key
that stays with whoever holds the files. It needs no reading, so that failures, missing files, folders and patterns have
one too, and the same path has the same one in every run with that key, which is what ``--resume`` compares. Beside it
each record has the SHA-256 of the file's content, by which the holder of the files finds an image without the key.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from medanomaly.edge.batch.own_phrases import GAP, own
from medanomaly.edge.result import Failure, Result
from medanomaly.errors import MedAnomalyError
from medanomaly.files import sha256
from medanomaly.imaging import split_frame

_NAME = "anonymous.key"
#: Of a key, in bytes; in its file they are hex digits.
_BYTES = 32
#: A path cannot hold a NUL, so that this is never the hash of one.
_WHICH = b"\0which key"
#: More digits than a frame's number has are rather of an identifier.
_FRAME = re.compile(r"(.*)#frame=(\d{1,7})", re.DOTALL)

#: Files whose state is known while they are read: more than wait at a time.
_GIVEN = 10_000

#: Device, number, size and time of a file.
_State = tuple[int, int, int, int]

#: What an error says of which no phrase may be shown.
_UNSAID = "cannot be used. Run it without --anonymous to see why."


class KeyFileError(MedAnomalyError, ValueError):
    """The key cannot be used. The message says why and what to do."""


def key_file() -> Path:
    """Where the key is by default: ``$XDG_DATA_HOME/medanomaly/anonymous.key``, or below ``~/.local/share``.

    Raises:
        KeyFileError: if there is no home.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    try:
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "medanomaly" / _NAME
    except RuntimeError as error:
        raise KeyFileError("--anonymous finds no home for its key. Name a file with --anonymous-key.") from error


class Anonymous:
    """What inputs are called in a run with ``--anonymous``.

    Args:
        key: 32 bytes that nobody can guess.

    Attributes:
        which: Tells this key from others and gives nothing of it away: 16 hex digits.

    Example:
        >>> names = Anonymous(bytes(32))
        >>> names.alias("ward/Doe^Jane.dcm#frame=3")[:12], names.alias("ward/Doe^Jane.dcm#frame=3")[64:]
        ('5fd3154ef7d0', '#frame=3')
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.which = hmac.digest(key, _WHICH, "sha256").hex()[:16]
        self._content: tuple[Path, _State, str] | None = None
        self._given: dict[Path, _State] = {}

    @classmethod
    def of(cls, file: str | Path | None = None, out: str | Path | None = None) -> Anonymous:
        """The names under the key in a file, which is made, for its owner alone, where it is missing.

        Args:
            file: By default :func:`key_file`.
            out: The folder of the results, which the key must not be in: it would go where they go.

        Raises:
            KeyFileError: if it cannot be read or made, holds no key, or lies in ``out``.
        """
        place = key_file() if file is None else Path(file)
        if out is not None and place.resolve().is_relative_to(Path(out).resolve()):
            raise KeyFileError(f"{place}: lies in the folder of the results, where it would be passed on with them.")
        try:
            text = _read_or_made(place)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise KeyFileError(
                f"{place}: the key of --anonymous cannot be read or made ({why}). Name another with --anonymous-key."
            ) from error
        if not re.fullmatch(rf"[0-9a-f]{{{2 * _BYTES}}}\s*", text):
            raise KeyFileError(f"{place}: is no key of --anonymous (64 hex digits). Name another with --anonymous-key.")
        return cls(bytes.fromhex(text))

    def alias(self, path: str) -> str:
        """The HMAC-SHA256 of a path as it was given, 64 hex digits; of a frame that of its file, and ``#frame=N``."""
        frame = _FRAME.fullmatch(path)
        file, mark = (frame[1], f"#frame={frame[2]}") if frame else (path, "")
        try:
            data = os.fsencode(file)
        except UnicodeEncodeError:
            data = file.encode(errors="surrogatepass")
        return hmac.digest(self._key, data, "sha256").hex() + mark

    def giving(self, path: str) -> None:
        """An input is about to be read: what its file is now is what its sum must be of."""
        try:
            file, _ = split_frame(path)
            self._given.pop(file, None)  # the latest is kept the longest
            self._given[file] = _state(file)
            if len(self._given) > _GIVEN:
                del self._given[next(iter(self._given))]
        except (OSError, ValueError):
            pass

    def content(self, path: str) -> str | None:
        """SHA-256 of the file that a path or a frame's address names.

        Returns:
            None for what is no file that can be read, or is another file, or has another size or time, than when it was
            given to be read: a sum of bytes that were not scored would lead to another image.
        """
        try:
            file, _ = split_frame(path)
            if not file.is_file():
                return None
            state = _state(file)
            if self._content is None or self._content[:2] != (file, state):  # frames of one file follow each other
                self._content = file, state, sha256(file)
            same = _state(file) == state == self._given.get(file, state)
            return self._content[2] if same else None
        except (OSError, ValueError):
            return None

    def hidden(self, outcome: Result | Failure) -> Result | Failure:
        """An outcome under its alias. Of an error :func:`~medanomaly.edge.batch.own_phrases.own` phrases are left."""
        alias = self.alias(outcome.input)
        if isinstance(outcome, Failure):
            return Failure(alias, self.reason(outcome), outcome.time)
        return replace(outcome, input=alias)

    def reason(self, failure: Failure) -> str:
        """What is said of a failure."""
        return f"{self.alias(failure.input)}: {said(failure.error)}"

    def first(self, number: int, path: str, record: dict[str, Any]) -> dict[str, Any]:
        """A record with its number and its file's SHA-256, by which it can be found again."""
        return {"record": number, "input": record["input"], "sha256": self.content(path), **record}

    def by_path(self, counts: Counter[str]) -> Counter[str]:
        """Counts of aliases, which are asked for by path."""
        return _ByPath(self, counts)


class _ByPath(Counter[str]):
    def __init__(self, names: Anonymous, counts: Counter[str]) -> None:
        super().__init__()
        self._names = names
        dict.update(self, counts)

    def __getitem__(self, path: str) -> int:
        return super().__getitem__(self._names.alias(path))

    def __setitem__(self, path: str, count: int) -> None:
        super().__setitem__(self._names.alias(path), count)


def said(message: object, named: dict[str, object] | None = None) -> str:
    """A message without paths and headers.

    Args:
        message: It may begin with a path and a colon.
        named: What the command line calls paths, such as ``{"OUT": args.out}``: a message about one of these, or about
            a file in it, begins with that word.
    """
    text = str(message)
    shown = own(text).removeprefix(f"{GAP}: ").lstrip(" .,:;")
    given = {str(path): word for word, path in (named or {}).items() if path is not None}
    for path in sorted(given, key=len, reverse=True):  # one may lie in another
        if re.match(rf"{re.escape(path)}(?:[:/\\]|$)", text):
            return f"{given[path]}: {shown or _UNSAID}"
    return shown or _UNSAID


def crash(error: BaseException) -> Exception:
    """An error of the same kind, with its traceback, that says nothing but phrases; what caused it likewise."""
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    hidden = kind(own(str(error)) or GAP).with_traceback(error.__traceback__)
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    hidden.__cause__ = None if behind is None else crash(behind)
    return hidden


def _state(file: Path) -> _State:
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_or_made(place: Path) -> str:
    if not place.exists():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all, and the first of two processes wins.
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)  # of a process that was killed, or a link, which would be followed
        part.touch(mode=0o600, exist_ok=False)
        try:
            part.write_text(secrets.token_hex(_BYTES) + "\n", encoding="ascii")
            try:
                place.hardlink_to(part)
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    return place.read_text(encoding="ascii")
