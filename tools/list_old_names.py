"""Write the tables of docs/upgrading.md from :mod:`medanomaly._moved_names`: ``python -m tools.list_old_names``."""

from __future__ import annotations

from pathlib import Path

from medanomaly._moved_names import MODULES, NAMES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "upgrading.md"
MARK = "<!-- written by python -m tools.list_old_names -->\n"


def tables() -> str:
    """Both tables in Markdown: modules, then names within modules."""
    lines = ["| module of 0.1.0 | now |", "|---|---|"]
    lines += [f"| `{old}` | `{new}` |" for old, new in MODULES.items()]
    lines += ["", "| name of 0.1.0 | now |", "|---|---|"]
    lines += [f"| `{module}.{old}` | `{new}` |" for module, names in NAMES.items() for old, new in names.items()]
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """A page with its tables made anew."""
    return text.partition(MARK)[0] + MARK + "\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
