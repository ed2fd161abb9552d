"""Escape foreign text (file names, headers, cards) for the page: shown as it is, never as markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: What Markdown makes a link of, wherever it stands: addresses and e-mail addresses, escaped or not.
_LINKS = re.compile(r"(?i)(https?|www|ftp|mailto|xmpp)(?=[:.])|@")
#: Of no width, and no place to break a line: it parts what would be a link.
_JOINER = "\u2060"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, for titles and notices, on one line."""
    parted = _LINKS.sub(lambda found: f"{found[0]}{_JOINER}", " ".join(text.split()))
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-!|$:~&" else letter for letter in parted)


def plain(text: str, *, small: bool = False, strong: bool = False) -> str:
    """Text as HTML that shows it as it is."""
    style = "font-size: 0.875rem; opacity: 0.85;" if small else ""
    weight = "font-weight: 600;" if strong else ""
    return f'<p style="margin: 0; overflow-wrap: anywhere; {style}{weight}">{html.escape(text)}</p>'


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of one another's columns as an HTML table, every cell as it is; missing ones are empty."""
    rows = list(rows)
    head: Sequence[str] = list(rows[0]) if rows else []
    cell = 'style="text-align: left; padding: 0.2rem 0.8rem 0.2rem 0; overflow-wrap: anywhere; font-weight: {};"'

    def line(kind: str, cells: Iterable[Any], weight: str) -> str:
        shown = ("" if text is None else html.escape(str(text)) for text in cells)
        return "<tr>" + "".join(f"<{kind} {cell.format(weight)}>{text}</{kind}>" for text in shown) + "</tr>"

    body = "".join(line("td", (row.get(name) for name in head), "400") for row in rows)
    return f'<table style="font-size: 0.875rem;"><thead>{line("th", head, "600")}</thead><tbody>{body}</tbody></table>'
