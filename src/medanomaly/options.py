"""A wrong option or value: one sentence that names it, what is allowed, and the nearest name."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable, Iterable

from medanomaly.errors import MedAnomalyError

#: Epochs when neither a configuration nor an option says: lightning's own default is 1,000.
DEFAULT_EPOCHS = 30
#: Exit status after a wrong option, bundle, input or folder.
WRONG = 2


class OptionError(MedAnomalyError, ValueError):
    """An option, or its value, is wrong. The message is one sentence that names both and what is allowed."""


def one_line(text: object) -> str:
    """Text in one line, as it may be printed: no line breaks, no terminal escapes, no bytes that are not text."""
    joined = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in joined)


def nearest(name: object, names: Iterable[str], likeness: float = 0.6) -> str | None:
    """The name most like a misspelt one, whatever its case; None where none is as like it as ``likeness`` asks."""
    by_lower: dict[str, str] = {}
    for known in names:
        by_lower.setdefault(known.lower(), known)
    close = difflib.get_close_matches(str(name).lower(), by_lower, 1, likeness)
    return by_lower[close[0]] if close else None


def suggestion(name: object, names: Iterable[str], likeness: float = 0.6) -> str:
    """`` Did you mean X?`` for the nearest name, or nothing; to go after a sentence."""
    close = nearest(name, [known for known in names if known != str(name)], likeness)
    return f" Did you mean {close}?" if close else ""


def wrong_value(option: str, value: object, reason: object, names: Iterable[str] | None = None) -> OptionError:
    """The error for an option's value.

    Args:
        option: As the user wrote it, or its place in the configuration.
        value: What was given.
        reason: What is allowed; a sentence of whoever refused the value.
        names: What the nearest name is looked for among; by default the words of ``reason``.
    """
    text = one_line(reason).rstrip(".")
    hint = ""
    if isinstance(value, str) and value:
        # Among the words of a sentence only what is much like the value is a name.
        words = re.findall(r"[A-Za-z_][\w+-]*", text)
        hint = suggestion(value, words, 0.75) if names is None else suggestion(value, names)
    return OptionError(f"{option} {shown(value)}: {text}.{hint}")


def shown(value: object) -> str:
    """A value as it would be typed; long ones are cut."""
    text = one_line("null" if value is None else str(value).lower() if isinstance(value, bool) else value)
    text = shlex.quote(text) if not isinstance(value, (dict, list, tuple)) else text
    return text if len(text) <= 120 else f"{text[:117]}..."


def whole(least: int = 1, most: float = math.inf) -> Callable[[str], int]:
    """A type for ``argparse``: whole numbers within bounds."""
    bounds = f"at least {least}" if most == math.inf else f"from {least} to {most}"

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ValueError(f"must be a whole number, {bounds}")
        return number

    return convert


def real(least: float = 0.0, most: float = math.inf) -> Callable[[str], float]:
    """A type for ``argparse``: finite numbers within bounds."""
    bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"

    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (least <= number <= most and math.isfinite(number)):
            raise ValueError(f"must be a number, {bounds}")
        return number

    return convert


def one_of(*names: str) -> Callable[[str], str]:
    """A type for ``argparse``: one of some names."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text

    return convert
