"""What files say is text: every call that shows it passes through a function that makes it so."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import medanomaly.app
from medanomaly.app.pages.escape import escaped, plain, table

FOLDER = Path(medanomaly.app.__file__).parent
#: Elements of Streamlit that read Markdown or HTML.
READ = {
    "badge", "button", "caption", "checkbox", "code", "dataframe", "download_button", "error", "expander", "header",
    "html", "info", "latex", "link_button", "markdown", "metric", "popover", "radio", "selectbox", "segmented_control",
    "slider", "status", "subheader", "success", "table", "tabs", "text", "text_input", "title", "toast", "toggle",
    "warning", "write",
}  # fmt: skip
#: Functions whose result may be shown as Markdown or HTML.
SAFE = {"escaped", "plain", "table", "cost_in_words"}
#: Names that hold our own words, and attributes of no file.
OURS = {
    "NOTICE",
    "_STYLE",
    "_LABELS",
    "_ASKED",
    "_STATES",
    "label",
    "content",
    "name",
    "kind",
    "text",
    "files",
    "refused",
}


def shown() -> list[tuple[str, int, str, ast.expr]]:
    """Every text that a call of Streamlit's shows: file, line, element, expression."""
    found = []
    for path in sorted((FOLDER / "pages").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            is_show = isinstance(function, ast.Name) and function.id == "show"  # st.warning or st.info
            if is_show or (
                isinstance(function, ast.Attribute)
                and function.attr in READ
                and ast.unparse(function.value) in ("st", "st.sidebar")
            ):
                name = "show" if is_show else function.attr
                found += [(path.name, node.lineno, name, one) for one in node.args[:1]]
                found += [
                    (path.name, node.lineno, name, one.value)
                    for one in node.keywords
                    if one.arg in ("label", "help", "body")
                ]
    return found


def safe(node: ast.expr) -> bool:
    """Whether an expression is our own text, or has passed through one of SAFE."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(safe(part.value) if isinstance(part, ast.FormattedValue) else True for part in node.values)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name == "join":
            return all(safe(one.elt) if isinstance(one, ast.GeneratorExp) else safe(one) for one in node.args)
        return name in SAFE or name == "len"
    if isinstance(node, ast.BinOp):
        return safe(node.left) and safe(node.right)
    if isinstance(node, ast.Subscript):
        return safe(node.value)
    return isinstance(node, ast.Name) and node.id in OURS


def test_every_text_of_a_file_is_shown_as_text():
    found = shown()
    assert len(found) > 25
    unsafe = [f"{file}:{line} st.{name}({ast.unparse(node)})" for file, line, name, node in found if not safe(node)]
    assert not unsafe, unsafe


def test_the_walk_finds_what_is_not_safe():
    for code, right in (
        ("escaped(x)", True),
        ("x", False),
        ("f'**{x}**'", False),
        ("f'**{escaped(x)}**'", True),
        ("str(x)", False),
    ):
        assert safe(ast.parse(code, mode="eval").body) is right


HOSTILE = [
    "<img src=x onerror=alert(1)>", "![x](http://evil.example/x.png)", "[click](http://evil.example)", "**bold** _it_ `code` ~~no~~",
    "www.evil.example", "https://evil.example", "a@evil.example", ":material/check: :red[x]", "$x$ <b>", "# head", "- one", "1. one", "a\n\n# b",
    "| a | b |", "&lt;b&gt;", "mailto:a@evil.example", "HTTP://EVIL.example",
]  # fmt: skip


class Text(HTMLParser):
    """The text of a piece of HTML, and its elements."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.elements = "", set()
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_html_shows_a_text_as_it_is(text):
    found = Text(plain(text))
    assert (found.text, found.elements) == (text, {"p"})
    cells = Text(table([{text: text}]))
    assert (cells.text, cells.elements) == (text * 2, {"table", "thead", "tbody", "tr", "th", "td"})


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_finds_no_link_in_an_escaped_text(text):
    done = escaped(text)
    assert "\n" not in done
    for sign in ("www.", "http:", "https:", "mailto:", "@evil"):
        assert sign not in done.lower().replace("\\", "")
    bare = done.replace("\u2060", "")
    assert "".join(letter for i, letter in enumerate(bare) if letter != "\\" or bare[i - 1 : i] == "\\") == " ".join(
        text.split()
    )


def test_where_there_is_no_browser_the_last_line_says_so_with_the_command(tmp_path):
    (tmp_path / "bin").mkdir()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/metrics/test_reader_agreement.py",
        "-k",
        "no_kappa",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PATH": str(tmp_path / "bin")},
    )
    last = done.stdout.strip().splitlines()[-1]
    assert "browser tests of the page were left out" in last
    assert "apt-get install chromium" in last
