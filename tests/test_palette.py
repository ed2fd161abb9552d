"""The colours stay those of published pages, and the style sheets use no near miss of them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from medanomaly import palette

COLOURS = {name: value for name, value in vars(palette).items() if name.isupper()}


def test_outline_in_bytes_is_as_published():
    assert palette.rgb(palette.OUTLINE) == (86, 180, 233)


def test_six_colours_no_two_alike():
    assert {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"} == set(COLOURS.values())


@pytest.mark.parametrize(
    ("sheet", "rule", "colour"),
    [
        ("app/static/reading.css", r"\.bar-normal \{ fill: (#\w+)", palette.NORMAL),
        ("app/static/reading.css", r"\.bar-abnormal \{ fill: (#\w+)", palette.ABNORMAL),
        ("app/static/reading.css", r"\.flag \{ fill: (#\w+)", palette.ABNORMAL),
        ("app/static/reading.css", r"\.outline path \{[^}]*stroke: (#\w+)", palette.OUTLINE),
        ("report/templates/style.css", r"\.key s \{[^}]*solid (#\w+)", palette.OUTLINE),
    ],
)
def test_style_sheets_agree(sheet, rule, colour):
    found = re.search(rule, files("medanomaly").joinpath(sheet).read_text(encoding="utf-8"))
    assert found is not None
    assert found[1].upper() == colour
