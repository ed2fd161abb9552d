"""Figures in words, to the character: pages, records of caveats and the console share them."""

from __future__ import annotations

import pytest

from medanomaly.metrics.formatting import LEVEL, rule, rule_option, span, with_span

FIGURE = {"value": 0.7314, "low": 0.7, "high": 0.753}
FALL = {"value": -0.0214, "low": -0.05, "high": 0.0071}


@pytest.mark.parametrize(
    ("style", "between", "before", "text"),
    [
        ("number", " – ", "", "0.731 (0.700 – 0.753)"),
        ("number", " to ", "", "0.731 (0.700 to 0.753)"),
        ("number", " to ", LEVEL, "0.731 (95 % interval 0.700 to 0.753)"),
        ("ratio", " – ", "", "0.73 (0.70 – 0.75)"),
    ],
)
def test_a_figure_and_its_interval(style, between, before, text):
    assert with_span(FIGURE, style, between, before) == text


def test_a_difference_has_signs():
    assert with_span(FALL, "signed", " to ", LEVEL) == "−0.021 (95 % interval −0.050 to +0.007)"


@pytest.mark.parametrize("figure", [None, {}, {"value": None, "low": None, "high": None}])
def test_what_is_undefined_has_no_interval(figure):
    assert span(figure, "number", " to ", LEVEL) == ""
    assert with_span(figure) == "undefined"


@pytest.mark.parametrize(
    ("name", "value", "words", "short", "option"),
    [
        ("quantile", 0.95, "quantile 0.95", "quantile 0.95", "quantile:0.95"),
        ("sigma", 2.0, "sigma 2.0", "sigma 2", "sigma:2.0"),
        ("manual", 0.123456789, "manual 0.123456789", "manual 0.123457", "manual:0.123456789"),
        ("youden", None, "youden", "youden", "youden"),
        ("cost", {"miss": 10.0, "alarm": 1.0}, *["cost (miss 10, alarm 1)"] * 2, "cost:miss=10,alarm=1"),
    ],
)
def test_a_rule_with_its_value(name, value, words, short, option):
    point = {"rule": name, "value": value}
    assert (rule(point), rule(point, "g"), rule_option(point)) == (words, short, option)
