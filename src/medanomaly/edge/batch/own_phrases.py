"""Keep of an error's text only the program's own phrases, where no path and no header may be shown.

An error names its file, repeats parts of its name, and quotes headers and the exceptions of decoders. Taking out what
is known to be secret would leave what nobody thought of, so it is done the other way round: what is shown is put
together of pieces of text that stand in this program, and of what the system calls its errors. All else becomes ``…``.
"""

from __future__ import annotations

import builtins
import errno
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from types import CodeType

#: Where messages about inputs, bundles, options and folders are written.
_PACKAGES = ("medanomaly", "medanomaly.imaging", "medanomaly.edge", "medanomaly.edge.batch", "medanomaly.commands")

#: Stands for what is left out.
GAP = "…"

_MARKS = r"\s.,:;()"
#: Marks that are kept on each side of a gap, such as ``.), ``.
_MOST = 4
#: A phrase has two words at least: a single one may be a name.
_TWO_WORDS = re.compile(r"[A-Za-z][a-z]*\W+[A-Za-z][a-z]*")


def own(text: str) -> str:
    """A text in one line, of which only the program's own phrases are left.

    Returns:
        Phrases, with ``…`` for all between them; ``""`` if there is none.

    Example:
        >>> own("/ward/Doe.png: is empty (0 bytes). Copy or export it again.")
        '…: is empty (0 bytes). Copy or export it again.'
        >>> own("Doe, born 1960")
        ''
    """
    line, parts, end = " ".join(text.split()), [], 0
    for match in _known().finditer(line):
        parts += [_gap(line[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, _gap(line[end:])]) if parts else ""


def _gap(between: str) -> str:
    """Marks stay at its ends, where they part sentences."""
    start, core, end = re.fullmatch(rf"([{_MARKS}]*)(.*?)([{_MARKS}]*)", between, re.DOTALL).groups()  # type: ignore[union-attr]
    if core.count("(") > core.count(")"):
        end = end.replace(")", "", 1)
    return f"{start[:_MOST]}{core and GAP}{end[:_MOST]}"


@cache
def _known() -> re.Pattern[str]:
    phrases = {core for text in _texts() if (core := text.strip(" \n.:,;()'")) and _TWO_WORDS.search(core)}
    # Closed lists, of which single words are let through.
    phrases |= {os.strerror(number) for number in errno.errorcode}
    phrases |= {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    # The number of a process is what a person needs who is told to wait for its end.
    return re.compile(rf"(?<!\w)(?:process \d{{1,7}}|{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _texts() -> Iterator[str]:
    for package in _PACKAGES:
        spec = find_spec(package)
        below = pkgutil.iter_modules(spec.submodule_search_locations or []) if spec else ()
        for name in (package, *(f"{package}.{module.name}" for module in below)):
            # Of several lines are descriptions of functions, and no messages.
            yield from (text for text in _of_code(_code(name)) if "\n" not in text.strip())


def _code(module: str) -> CodeType | None:
    """A module's code, without running it; None where the loader has none, as for a compiled one."""
    spec = find_spec(module)
    get_code = getattr(spec and spec.loader, "get_code", None)
    return get_code(module) if get_code else None


def _of_code(code: CodeType | None) -> Iterator[str]:
    """Every text in a module's code: the pieces of f-strings, too, are constants of their own."""
    stack: list[object] = [code]
    while stack:
        found = stack.pop()
        if isinstance(found, CodeType):
            stack += found.co_consts
        elif isinstance(found, str):
            yield found
        elif isinstance(found, Iterable) and not isinstance(found, bytes):
            stack += found
