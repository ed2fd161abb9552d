"""The charts of the report: they draw awkward scores, and what they draw is right."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from medanomaly.report import charts, curves


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 0.5, 0.5],
        [-3.0, 0.0, 2.0],
        [1e-8, 1.0, 1e8],
        [0.0, 1e-5, 1.0],
        [1e9, 1e9 + 1e-7, 1e9],
        [np.nan, 1.0, np.inf],
    ],
)
@pytest.mark.parametrize("threshold", [0.5, 0.0, 1e-12, None, float("nan")])
def test_charts_draw_awkward_scores(values, threshold):
    truth = [True, False, True]
    svg = charts.score_histogram(np.array(values), np.array(truth), threshold)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    drawn = threshold is not None and np.isfinite(threshold)
    assert svg.count("operating point") == 1 + drawn  # once in the title, once in the legend
    curve = curves.roc(np.array(values), np.array(truth), threshold, "AUROC")
    kept = np.array(truth)[np.isfinite(values)]
    assert (curve is None) == (kept.all() or not kept.any())


@pytest.mark.parametrize("truth", [True, False])
def test_charts_of_one_class(truth):
    values, truths = np.array([0.1, 0.2, 0.9]), np.full(3, truth)
    words = "".join(ElementTree.fromstring(charts.score_histogram(values, truths, 0.5)).itertext())
    assert ("abnormal (3)" if truth else "normal (3)") in words
    assert words.count("(3)") == 1
    assert curves.roc(values, truths, 0.5, "AUROC") is None


def test_histogram_without_any_finite_score():
    assert "no finite score" in charts.score_histogram(np.array([np.nan]), np.array([True]), 0.5)


def test_histogram_axis_is_logarithmic_only_beyond_two_decades_and_tells_what_it_hides():
    truth = np.arange(100) % 2 == 0
    wide = np.geomspace(1e-3, 10, 100)
    assert "logarithmic" in charts.score_histogram(wide, truth, 0.1)
    assert "logarithmic" not in charts.score_histogram(np.linspace(1, 50, 100), truth, 2.0)
    wide[0] = -1
    assert "1 below" in charts.score_histogram(wide, truth, 0.1)
    wide[5] = np.nan
    assert "1 not finite" in charts.score_histogram(wide, truth, 0.1)


def test_no_bar_straddles_the_threshold():
    for low, high, anchor in ((0.0, 1.0, 0.37), (-3.0, -1.0, -1.0), (2.0, 2.0, 2.0)):
        edges = charts._edges(low, high, 20, anchor)
        assert np.abs(edges - anchor).min() < 1e-9
        assert edges[0] <= low
        assert edges[-1] >= high


def test_roc_points_against_the_definition():
    values = np.array([0.1, 0.4, 0.4, 0.8, 0.3, 0.9])
    truth = np.array([False, True, False, True, False, True])
    alarms, hits = curves.roc_points(values, truth)
    assert np.allclose(alarms, [0, 0, 0, 1 / 3, 2 / 3, 1])
    assert np.allclose(hits, [0, 1 / 3, 2 / 3, 1, 1, 1])


def test_roc_marks_an_image_as_flagged_only_above_the_threshold(evidence):
    svg = curves.roc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]), 2.0, "AUROC <1> & $x$")
    assert svg is not None
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert "1 of 2 found" in words
    assert "0 of 2 false alarms" in words
    assert words.count("AUROC <1> & $x$") == 2


def test_charts_refuse_scores_and_truths_of_different_length():
    with pytest.raises(ValueError, match="3 scores but 2 truths"):
        charts.score_histogram(np.ones(3), np.ones(2, bool), 0.5)


def test_chart_of_many_images_stays_small():
    random = np.random.default_rng(0)
    svg = curves.roc(random.random(50_000), random.random(50_000) > 0.5, 0.5, "AUROC 0.5")
    assert svg is not None
    assert len(svg) < 1_000_000


def test_the_axis_says_what_the_scores_are():
    svg = charts.score_histogram(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]), 1.5, "distance of raw score")
    assert "distance of raw score" in "".join(ElementTree.fromstring(svg).itertext())


def test_precision_against_recall_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(4)
    truth = random.random(80) > 0.6
    values = np.round(random.random(80), 1)  # with ties
    recall, precision = curves.precision_points(values, truth)
    expected, at, _ = metrics.precision_recall_curve(truth, values)
    assert np.allclose(recall, at[::-1])
    assert np.allclose(precision[1:], expected[::-1][1:])
    area = (np.diff(recall) * precision[1:]).sum()
    assert area == pytest.approx(metrics.average_precision_score(truth, values))


def test_precision_recall_names_prevalence_and_operating_point():
    svg = curves.precision_recall(np.arange(4.0), np.array([False, False, True, True]), 0.5, "AP <1>")
    words = "".join(ElementTree.fromstring(svg or "").itertext())
    for shown in ("chance: 0.500", "2 of 3", "AP <1>"):
        assert shown in words
    nothing = curves.precision_recall(np.arange(4.0), np.array([False, False, True, True]), 9.0, "AP")
    assert "operating point" not in "".join(ElementTree.fromstring(nothing or "").itertext())
    assert curves.precision_recall(np.arange(3.0), np.ones(3, bool), 0.5, "AP") is None


def test_calibration_and_froc_draw_points_or_nothing():
    one = {"mean": 0.2, "observed": 0.0, "low": 0.0, "high": 0.3, "count": 9}
    bins = [one, {"mean": 0.9, "observed": 1.0, "low": 0.7, "high": 1.0, "count": 30}]
    assert "2 bins" in "".join(ElementTree.fromstring(curves.calibration(bins, "ECE 0.1") or "").itertext())
    assert curves.calibration([], "ECE") is None
    points = [{"false_positives": at, "sensitivity": found} for at, found in ((2.0, 0.7), (0.1, 0.3), (8.0, 0.9))]
    assert ElementTree.fromstring(curves.froc(points) or "").tag.endswith("svg")
    assert ElementTree.fromstring(curves.froc([{"false_positives": 0.0, "sensitivity": 0.0}]) or "") is not None
    assert curves.froc([]) is None


def test_roc_curves_of_runs_leave_out_those_of_one_class():
    values, truth = np.arange(4.0), np.array([False, True, False, True])
    runs = [("A: 0.750", values, truth), ("B", values, np.ones(4, bool))]
    words = "".join(ElementTree.fromstring(curves.roc_of_runs(runs) or "").itertext())
    assert "A: 0.750" in words
    assert "B" not in words.replace("Receiver", "")
    assert curves.roc_of_runs(runs[1:]) is None
