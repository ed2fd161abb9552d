"""Which cells say nothing, and which say the same."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medanomaly.csv_cells import among, missing, some, spelled

NOTHING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, Decimal("nan"), "", " ", "\t", "\u00a0", "\ufeff"]
WORDS = [
    "nan",
    "NaN",
    "NAN",
    "None",
    "none",
    "NA",
    "N/A",
    "n/a",
    "null",
    "NULL",
    "#N/A",
    "<NA>",
    "NaT",
    " NA ",
    "#REF!",
    "#NV",
    "#WERT!",
    "#NOMBRE?",
    "n.a.",
    "-",
    "--",
    "–",
    "?",
    "???",
    ".",
    "…",
]
SOMETHING = [
    "normal",
    "0",
    0,
    0.0,
    False,
    "NAT",
    "nat",
    "Nancy",
    "no",
    "unknown",
    "+",
    "-1",
    "B-",
    "1.",
    "#3",
    "what?",
    "N",
    Path("a.png"),
    "na.png",
]


@pytest.mark.parametrize("cell", [*NOTHING, *WORDS], ids=repr)
def test_missing(cell):
    assert missing(cell)


@pytest.mark.parametrize("cell", SOMETHING, ids=repr)
def test_not_missing(cell):
    assert not missing(cell)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("12", "12.0", True), ("12", " 12", True), ("12", 12.0, True), ("patient12", "patient12.0", True),
        ("Mu\u0308ller", "M\u00fcller", True), ("p1", "p1\u00a0", True),
        ("12", "120", False), ("12", "012", False), ("12", "12.5", False), ("1.2.840.0", "1.2.840", False),
        ("p1", "P1", False), ("p1", "p 1", False), ("x.0", "x", False),
    ],
)  # fmt: skip
def test_spelled(one, other, same):
    assert (spelled(one) == spelled(other)) is same


@pytest.mark.parametrize("label", ["normal", "Normal", "NORMAL", " normal", "Normal ", "normal\u00a0", "\tNORMAL\n"])
def test_a_normal_class_is_known_by_its_name(label):
    assert among(label, ["healthy", "normal"]) == "normal"


@pytest.mark.parametrize("label", ["abnormal", "normal.", "nor mal", "", "not normal"])
def test_another_name_is_another_class(label):
    assert among(label, ["normal"]) is None


def test_an_exact_name_comes_first():
    assert among("NORMAL", ["normal", "NORMAL"]) == "NORMAL"
    assert among("0.0", ["0"]) == "0"


def test_some():
    assert some("abc", 2) == "a, b and 1 more"
    assert some(["a"]) == "a"


@pytest.mark.parametrize(
    ("items", "shown", "of", "text"),
    [
        ([], 2, None, ""),
        (["a", "b"], 2, None, "a, b"),
        (["a", "b", "c"], 2, None, "a, b and 1 more"),
        (["a", "b"], 2, 9, "a, b and 7 more"),
        (map(str, range(22)), 20, None, ", ".join(map(str, range(20))) + " and 2 more"),
    ],
)
def test_some_of_a_long_list(items, shown, of, text):
    assert some(items, shown, of) == text
