"""Runs against one another: matching, refusals, figures, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medanomaly.cli import main
from medanomaly.evidence.compare import CompareError, compare, match, read


def table(n: int = 120, shift: float = 1.5, seed: int = 0, root: str = "/data") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    abnormal = np.arange(n) % 3 == 0
    scores = rng.normal(size=n) + shift * abnormal
    return pd.DataFrame(
        {
            "path": [f"{root}/{'bad' if a else 'good'}/{i:03}.png" for i, a in enumerate(abnormal)],
            "group": [f"{root}/{'bad' if a else 'good'}/{i:03}.png" for i, a in enumerate(abnormal)],
            "abnormal": abnormal,
            "raw_score": scores,
            "decision": scores > 1,
        }
    )


def write(folder: Path, rows: pd.DataFrame) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "predictions.csv", index=False)
    return folder


def test_figures_of_a_pair(tmp_path):
    a, b = table(), table(shift=0.7, seed=1)
    (pair,) = compare([write(tmp_path / "a", a), write(tmp_path / "b", b.iloc[::-1])], draws=200)
    assert pair["images"] == {"common": 120, "first": 120, "second": 120, "matched_by": "path"}
    aurocs = [roc_auc_score(one["abnormal"], one["raw_score"]) for one in (a, b)]
    assert [one["value"] for one in pair["auroc"]] == pytest.approx(aurocs)
    difference = pair["difference"]
    assert difference["value"] == pytest.approx(aurocs[0] - aurocs[1])
    assert difference["delong"]["low"] == pytest.approx(difference["bootstrap"]["low"], abs=0.03)
    assert difference["delong"]["low"] < difference["value"] < difference["delong"]["high"]
    right = [(one["decision"] == one["abnormal"]).to_numpy() for one in (a, b)]
    every = pair["decisions"]["all"]
    assert every["right"] == [right[0].sum(), right[1].sum()]
    assert every["first_alone"] == (right[0] & ~right[1]).sum()
    assert every["first_alone"] == sum(pair["decisions"][name]["first_alone"] for name in ("abnormal", "normal"))


def test_only_common_images_count(tmp_path):
    a, b = table(), table(shift=0.7, seed=1)
    (pair,) = compare([write(tmp_path / "a", a.iloc[:90]), write(tmp_path / "b", b.iloc[30:])], draws=50)
    assert pair["images"]["common"] == 60
    expected = roc_auc_score(a["abnormal"][30:90], a["raw_score"][30:90])
    assert pair["auroc"][0]["value"] == pytest.approx(expected)


@pytest.mark.parametrize("root", ["/elsewhere/d", "D:\\d"])
def test_other_roots_match_by_file_name(root):
    both, how = match(table(), table(root=root))
    assert (len(both), how) == (120, "file name")


def test_names_that_repeat_need_their_folder():
    def named(root: str) -> pd.DataFrame:
        return table(6).assign(path=[f"{root}/{part}/{i}.png" for part in ("bad", "good") for i in range(3)])

    both, how = match(named("/a"), named("/b"))
    assert (len(both), how) == (6, "the last 2 parts of the path")


def test_ambiguous_names_are_refused():
    deep = "/".join("abcdefgh")
    one = table(2).assign(path=[f"/x/{deep}/1.png", f"/y/{deep}/1.png"])
    with pytest.raises(CompareError, match="ambiguous"):
        match(one, table(2))


def test_contradicting_truths_and_few_images_are_refused(tmp_path):
    a = write(tmp_path / "a", table())
    turned = table()
    turned.loc[5, "abnormal"] = ~turned.loc[5, "abnormal"]
    with pytest.raises(CompareError, match=r"truth of 1 of 120 images.*005\.png"):
        compare([a, write(tmp_path / "b", turned)])
    with pytest.raises(CompareError, match="only 0 images match"):
        compare([a, write(tmp_path / "c", table().assign(path=[f"{i}.tif" for i in range(120)]))])
    with pytest.raises(CompareError, match="at least two"):
        compare([a])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.assign(raw_score=np.where(np.arange(120) == 7, np.nan, 1.0)), r"finite score.*007\.png"),
        (lambda t: t.assign(raw_score="high"), "no number"),
        (lambda t: t.assign(path="/data/one.png"), "named twice"),
        (lambda t: t.assign(abnormal="perhaps"), "more than true and false"),
        (lambda t: t.drop(columns="decision"), "no column decision"),
    ],
)
def test_unfit_predictions_are_refused(tmp_path, change, says):
    with pytest.raises(CompareError, match=says):
        read(write(tmp_path, change(table())))


def test_groups_widen_the_interval(tmp_path):
    rng = np.random.default_rng(2)
    patient, abnormal = np.repeat(np.arange(30), 6), np.repeat(np.arange(30) < 12, 6)

    def rows(known: bool, seed: int) -> pd.DataFrame:
        effect = np.random.default_rng(seed).normal(size=30)[patient] + abnormal
        scores = effect + 0.2 * rng.normal(size=180)
        path = [f"{i}.png" for i in range(180)]
        group = [f"p{g}" for g in patient] if known else path
        columns = {"path": path, "group": group, "abnormal": abnormal, "raw_score": scores, "decision": scores > 1}
        return pd.DataFrame(columns)

    widths = {}
    for known in (False, True):
        # One run that knows the groups is enough.
        folders = [write(tmp_path / f"{known}{i}", rows(known and i == 0, i)) for i in range(2)]
        (pair,) = compare(folders, draws=100)
        assert pair["groups"] == (30 if known else 180)
        widths[known] = [
            pair["difference"][name]["high"] - pair["difference"][name]["low"] for name in ("delong", "bootstrap")
        ]
    assert all(wide > 1.5 * narrow for wide, narrow in zip(widths[True], widths[False], strict=True))


def test_one_class_leaves_the_decisions(tmp_path):
    rows = table().query("~abnormal")
    (pair,) = compare([write(tmp_path / "a", rows), write(tmp_path / "b", rows.assign(decision=True))], draws=20)
    assert pair["auroc"][0]["value"] is None
    reason = "the images in common are all normal"
    assert pair["difference"]["delong"] == {"low": None, "high": None, "p": None, "reason": reason}
    assert pair["difference"]["bootstrap"]["reason"] == reason
    assert pair["decisions"]["abnormal"] == {
        "images": 0,
        "right": [0, 0],
        "first_alone": 0,
        "second_alone": 0,
        "p": None,
    }
    assert pair["decisions"]["normal"]["p"] < 1e-6


def test_a_two_sided_rule_is_ranked_by_its_distance(tmp_path):
    rows = table()
    a = write(tmp_path / "a", rows.assign(distance=abs(rows["raw_score"])))
    (pair,) = compare([a, write(tmp_path / "b", rows)], draws=20)
    assert pair["auroc"][0]["value"] == pytest.approx(roc_auc_score(rows["abnormal"], abs(rows["raw_score"])))


def test_the_command(tmp_path, capsys):
    runs = [str(write(tmp_path / str(i), table(seed=i))) for i in range(3)]
    assert main(["compare", *runs[:2]]) == 0
    shown = capsys.readouterr().out
    assert "120 (of 120 and 120, matched by path): 80 normal, 40 abnormal" in shown
    for word in ("AUROC 1", "DeLong", "bootstrap", "McNemar"):
        assert word in shown
    assert main(["compare", *runs, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 3
    assert main(["compare", runs[0], str(tmp_path)]) == 2
    assert "predictions.csv is not there" in capsys.readouterr().err


def test_a_difference_without_an_interval_says_why(tmp_path, capsys):
    runs = [write(tmp_path / name, table()) for name in "ab"]
    (pair,) = compare(runs, draws=20)
    alike = {"low": None, "high": None, "reason": "the scores rank all images alike"}
    assert pair["difference"]["delong"] == {**alike, "p": None}
    assert pair["difference"]["bootstrap"] == {**alike, "draws": 20}
    assert main(["compare", *map(str, runs)]) == 0
    shown = capsys.readouterr().out
    assert "  DeLong           undefined: the scores rank all images alike\n" in shown
    assert "  bootstrap        undefined: the scores rank all images alike\n" in shown
    perfect = table().assign(raw_score=lambda t: t["abnormal"].astype(float))
    (pair,) = compare([write(tmp_path / "c", perfect), write(tmp_path / "d", perfect.assign(raw_score=1.0))], draws=20)
    assert pair["difference"]["value"] == 0.5
    assert pair["difference"]["bootstrap"]["reason"] == "the difference does not vary"


def test_the_command_names_the_method_of_each_interval(tmp_path, capsys):
    assert main(["compare", *(str(write(tmp_path / str(i), table(seed=i))) for i in range(2))]) == 0
    shown = capsys.readouterr().out
    assert shown.count("), DeLong, logit") == 2
    assert "Intervals of AUROC are DeLong's here; a run's own report has those of its bootstrap." in shown
