"""The grammar of rules, and that each rule's owner accepts what it always did."""

from __future__ import annotations

import pytest

from medanomaly.data.synthetic_anomalies import Anomaly
from medanomaly.decision.rules import RuleError, parse_rule
from medanomaly.imaging.field_of_view import FieldOfView
from medanomaly.imaging.intensity import Intensity
from medanomaly.spec import Spec


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("name", "name", None),
        ("name:", "name", ""),
        ("foreign:/a:b", "foreign", "/a:b"),
        (":1", "", "1"),
        ("", "", None),
    ],
)
def test_a_text_is_parted_at_its_first_colon(text, name, argument):
    assert Spec.parse(text) == Spec(name, argument)


def test_arguments_are_read_as_numbers():
    assert Spec.parse("contrast: 7 ").integer() == 7
    assert Spec.parse("crop:1e-1").number() == 0.1
    assert Spec.parse("percentile:1, 99").numbers(2) == (1.0, 99.0)
    assert Spec.parse("cost: miss = 10,alarm=1").named_numbers() == {"miss": 10.0, "alarm": 1.0}
    assert Spec.parse("cost:miss=10").named
    assert not Spec.parse("cost").named


@pytest.mark.parametrize(
    "read",
    [
        lambda: Spec.parse("contrast:7.0").integer(),
        lambda: Spec.parse("contrast").integer(),
        lambda: Spec.parse("crop").number(),
        lambda: Spec.parse("crop:wide").number(),
        lambda: Spec.parse("window:1").numbers(2),
        lambda: Spec.parse("window:1,2,3").numbers(2),
        lambda: Spec.parse("window").numbers(2),
        lambda: Spec.parse("cost:miss").named_numbers(),
        lambda: Spec.parse("cost:miss=1=2").named_numbers(),
        lambda: Spec.parse("cost:miss=many").named_numbers(),
    ],
)
def test_what_is_no_number_is_refused(read):
    with pytest.raises(ValueError):
        read()


#: Texts at the edge of what each owner accepts, and what comes of it; None where it is refused.
ACCEPTED = [
    (Intensity.parse, "percentile", Intensity("percentile", (1.0, 99.0))),
    (Intensity.parse, "percentile:", Intensity("percentile", (1.0, 99.0))),
    (Intensity.parse, "percentile: 0 , 100 ", Intensity("percentile", (0.0, 100.0))),
    (Intensity.parse, "percentile:99,1", None),
    (Intensity.parse, "window:-600,1500", Intensity("window", (-600.0, 1500.0))),
    (Intensity.parse, "window", None),
    (Intensity.parse, "window:0,inf", None),
    (Intensity.parse, "contrast", Intensity("contrast", (7.0, 7.0))),
    (Intensity.parse, "contrast:", None),
    (Intensity.parse, "contrast:8", None),
    (Intensity.parse, "minmax:", None),
    (FieldOfView.parse, "none", FieldOfView("none")),
    (FieldOfView.parse, "none:", None),
    (FieldOfView.parse, "crop:0.5", FieldOfView("crop", 0.5)),
    (FieldOfView.parse, "crop:inf", None),
    (Anomaly.parse, "noise:", Anomaly("noise", 0.2)),
    (Anomaly.parse, "cutpaste:", Anomaly("cutpaste")),
    (Anomaly.parse, "cutpaste:1", None),
    (Anomaly.parse, "foreign:C:/data", Anomaly("foreign", source="C:/data")),
    (Anomaly.parse, "foreign:", None),
    (Anomaly.parse, "blur:nan", None),
    (parse_rule, "quantile:0.95", ("quantile", 0.95)),
    (parse_rule, "quantile:", None),
    (parse_rule, "youden", ("youden", None)),
    (parse_rule, "youden:1", None),
    (
        parse_rule,
        "cost: miss=10,alarm=1,prevalence=0.02",
        ("cost", {"miss": 10.0, "alarm": 1.0, "prevalence": 0.02}),
    ),
    (parse_rule, "cost:10", None),
    (parse_rule, "manual:-1", ("manual", -1.0)),
]


@pytest.mark.parametrize(("parse", "text", "expected"), ACCEPTED)
def test_each_owner_accepts_what_it_always_did(parse, text, expected):
    if expected is None:
        with pytest.raises((ValueError, RuleError)):
            parse(text)
    else:
        assert parse(text) == expected
