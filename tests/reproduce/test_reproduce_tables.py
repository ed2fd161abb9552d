"""The table writer, the arithmetic of prevalence, and the choice of the best."""

import json

import pytest
from tools.reproduce import prevalence
from tools.reproduce.candidates import best, one_class_configs
from tools.reproduce.cells import Cells
from tools.reproduce.gi_bleeding import arithmetic
from tools.reproduce.plots import Point, claims
from tools.reproduce.tables import Figure, Missing, Table


def test_figures_are_printed_with_their_intervals():
    record = {"value": 0.7712, "low": 0.7369, "high": 0.8021, "interval": "95 % bootstrap"}
    assert str(Figure.of(record)) == "0.771 (0.737 to 0.802)"
    assert str(Figure.of(record, percent=True)) == "77.1 % (73.7 to 80.2)"
    assert str(Figure.of(0.5)) == "0.500"
    assert str(Figure.of({"value": None, "low": None, "high": None})) == "undefined"


def test_interval_holds_a_value():
    figure = Figure(0.5, 0.4, 0.6)
    assert figure.holds(0.41)
    assert not figure.holds(0.39)
    assert Figure(0.5).holds(0.5) is None


def test_table_as_markdown_and_json():
    table = Table("T", ("row", "claimed", "ours"), [["`a|b`", 0.25, Figure(0.5, 0.4, 0.6)], ["c", None, Missing("no")]])
    assert table.markdown().splitlines() == [
        "**T**",
        "",
        "| row | claimed | ours |",
        "|---|---|---|",
        "| `a\\|b` | 0.25 | 0.500 (0.400 to 0.600) |",
        "| c | – | no |",
    ]
    assert Table("T", ("row", "a", "b"), [["x", Missing("no"), Missing("no")]]).markdown().endswith("| x | no | – |\n")
    rows = json.loads(json.dumps(table.record()))["rows"]
    assert rows[0][2] == {"value": 0.5, "low": 0.4, "high": 0.6, "percent": False}
    assert rows[1] == ["c", None, {"missing": "no"}]


def test_rows_must_fit_the_heads():
    with pytest.raises(ValueError, match="row a has 1 columns, the table 2"):
        Table("T", ("x", "y"), [["a"]])


def test_plot_of_claims_and_absent_figures(tmp_path):
    points = [
        Point("a", Figure(0.5, 0.4, 0.6), 0.7),
        Point("b", Missing("not measured: data absent")),
        Point("c", Figure(0.2)),
    ]
    claims(points, "title", tmp_path / "plots" / "p.png")
    assert (tmp_path / "plots" / "p.png").read_bytes().startswith(b"\x89PNG")


def test_recall_from_precision_and_f1():
    recall = prevalence.recall_of(0.83, 0.90)
    assert recall == pytest.approx(0.9829, abs=1e-4)
    assert 2 * 0.83 * recall / (0.83 + recall) == pytest.approx(0.90)
    with pytest.raises(ValueError, match="no recall"):
        prevalence.recall_of(0.4, 0.9)


def test_claims_cannot_come_from_a_balanced_set():
    recall = prevalence.recall_of(0.83, 0.90)
    rate = prevalence.false_positive_rate_of(0.83, recall, 0.5)
    # The confusion matrix of 1,000 + 1,000 images gives the precision back.
    assert 1000 * recall / (1000 * recall + 1000 * rate) == pytest.approx(0.83)
    assert prevalence.least_auroc(recall, rate) > 0.72
    assert prevalence.concave_auroc(recall, rate) > prevalence.least_auroc(recall, rate)
    at = prevalence.prevalence_for(0.83, recall, rate)
    assert at == pytest.approx(0.5)
    assert prevalence.flag_all(0.83) == (0.83, pytest.approx(0.907, abs=1e-3))


def test_arithmetic_of_the_page():
    rows = arithmetic(0.8).rows
    assert [str(row[1]) for row in rows] == ["0.500", "0.571", "0.729", "0.500", "0.830", "0.800"]


def test_best_is_chosen_by_validation_and_never_by_test():
    def cell(validation, test):
        return {"figures": {"validation_auroc": {"value": validation}, "auroc": {"value": test}}}

    cells = Cells({"a": cell(0.8, 0.9), "b": cell(0.9, 0.5)}, {"c": "not run yet"})
    assert best(cells, ["a", "b", "c"]) == "b"
    assert best(cells, ["c"]) is None


def test_candidates_are_the_one_class_configurations():
    assert {"ae_wce", "aae_wce", "vae_wce", "perceptual_wce"} <= set(one_class_configs("wce"))
    found = one_class_configs("pneumoniamnist")
    assert "ae_pneumoniamnist" in found
    assert not {"classifier_pneumoniamnist", "ae_study_pneumoniamnist"} & set(found)
