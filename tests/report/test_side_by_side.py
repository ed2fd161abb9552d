"""Several runs on one page."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from tests.report_parts import NORMAL, Page, evidence_record

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from medanomaly.report.side_by_side import Side, render


def side(folder, scores, abnormal, prefix: str = "i", **more) -> Side:
    """A run whose predictions lie in ``folder``."""
    folder.mkdir()
    pd.DataFrame(
        {
            "path": [f"{prefix}{i}.png" for i in range(len(scores))],
            "abnormal": abnormal,
            "raw_score": scores,
            "decision": scores > 0.004,
        }
    ).to_csv(folder / "predictions.csv", index=False)
    return Side(folder, {**evidence_record(), **more}, scores, abnormal, "a/report.html")


@pytest.fixture
def pair(tmp_path, scores, abnormal) -> list[Side]:
    better = scores + 0.001 * abnormal
    record = copy.deepcopy(evidence_record())
    record["run"]["model"] = "Other<b>"
    record["image"]["auroc"]["value"] = 0.8642
    return [side(tmp_path / "a", scores, abnormal), side(tmp_path / "b", better, abnormal, **record)]


def test_runs_stand_in_one_table_with_differences_caveats_and_curves(pair):
    page = Page(render(pair))
    assert not page.open
    assert not page.all("script")
    assert "Other<b> on WirelessCapsule" in page.text
    for shown in ("A against B", "200 of 200 and 200", "60 normal, 140 abnormal", "DeLong", "bootstrap", "McNemar"):
        assert shown in page.text
    for shown in ("0.731", "0.864", "AUPRO", "quantile 0.95", "A: 0.731", "B: 0.864"):
        assert shown in page.text
    assert page.text.count("The score is inverted") == 2
    assert "likelihood" not in page.text  # no run has it
    assert {attrs["href"] for attrs in page.all("a")} >= {"a/report.html", "#differences"}
    assert "p values are not corrected" not in page.text


def test_a_pair_on_other_images_says_so_and_keeps_its_place(tmp_path, pair, scores, abnormal):
    page = Page(render([*pair, side(tmp_path / "c", scores, abnormal, prefix="other")]))
    assert page.text.count("Not compared: only 0 images match") == 2
    assert "C against" not in page.text
    assert "B against C" in page.text
    assert "p values are not corrected for 3 pairs." in page.text


def test_runs_of_one_class_have_no_curve(tmp_path, scores):
    normal = np.zeros(NORMAL, bool)
    sides = [side(tmp_path / name, scores[:NORMAL], normal) for name in "ab"]
    assert "ROC curves: undefined" in Page(render(sides)).text


def test_one_run_is_not_several(pair):
    with pytest.raises(ValueError, match="2 to 26 runs"):
        render(pair[:1])
