"""``medanomaly decide``: a run and its bundle get other rules without training, and everything follows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medanomaly.cli import main
from medanomaly.decision.rules import choose_threshold
from medanomaly.edge import Bundle, Detector
from medanomaly.evidence import predictions as tables
from medanomaly.evidence.image_figures import image_metrics
from medanomaly.export import export_run
from medanomaly.runs import TestedRun


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def bundle(tiny_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def load(folder: Path, name: str = "evidence.json") -> dict:
    return json.loads((folder / name).read_text())


def pictured(folder: Path) -> list[str]:
    return re.findall(r'title="([^"]+\.png)"', (folder / "report.html").read_text())


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]


def test_a_run_keeps_the_scores_that_its_threshold_was_chosen_from(tiny_run):
    rows = tables.read(tiny_run / "validation.csv")
    assert list(rows.columns) == ["path", "label", "group", "abnormal", "raw_score"]
    split = pd.read_csv(tiny_run / "split.csv")
    assert {Path(path).name for path in rows["path"]} == {
        Path(path).name for path in split.loc[split["split"] == "val", "path"]
    }
    normal = rows.loc[~rows["abnormal"], "raw_score"].to_numpy()
    point = load(tiny_run)["operating_point"]
    assert point["threshold"] == np.float32(choose_threshold("quantile", 0.95, normal, np.array([])))
    assert point["fitted_on"] == {"normal": 20, "abnormal": 20}


def test_a_run_is_decided_anew(run, tiny_run, tmp_path, capsys):
    before, old = tables.read(run / "predictions.csv"), load(run)
    assert main(["decide", str(run), "--rule", "sensitivity:0.9"]) == 0
    told = capsys.readouterr().out
    rows, after, new = tables.read(run / "validation.csv"), tables.read(run / "predictions.csv"), load(run)
    abnormal = rows["abnormal"].to_numpy(bool)
    threshold = choose_threshold(
        "sensitivity", 0.9, rows["raw_score"].to_numpy()[~abnormal], rows["raw_score"].to_numpy()[abnormal]
    )
    point = new["operating_point"]
    assert point["threshold"] == np.float32(threshold)
    assert (after["decision"] == (after["raw_score"] > threshold)).all()
    assert ((after["score"] > 0.5) == after["decision"]).all()
    pd.testing.assert_frame_equal(after.drop(columns=["score", "decision"]), before.drop(columns=["score", "decision"]))
    changed = int((after["decision"] != before["decision"]).sum())
    assert changed > 0
    # what depends on the rule is new, the rest is kept
    for name in ("auroc", "average_precision"):
        assert new["image"][name] == old["image"][name]
    assert image_metrics(after)["confusion"] == new["image"]["confusion"]
    assert new["image"]["sensitivity"]["count"][0] == int((after["decision"] & after["abnormal"]).sum())
    assert (new["pixel"], new["run"], new["data"]) == (old["pixel"], old["run"], old["data"])
    # it says so, everywhere
    assert [(entry["rule"], entry["threshold"]) for entry in point["history"]] == [
        ("quantile", old["operating_point"]["threshold"])
    ]
    assert "The operating point was changed after the test" in [caveat["title"] for caveat in new["caveats"]]
    assert f"{changed} of 48 test images are decided otherwise" in told
    assert "Was: quantile:0.95" in told
    assert "Is: sensitivity:0.9" in told
    (entry,) = log(run)
    assert (entry["old"]["rule"], entry["new"]["rule"], entry["changed"]) == ("quantile", "sensitivity", changed)
    page = (run / "report.html").read_text()
    assert "was changed after the test" in page
    assert "data:image/png" in page
    # the weights carry it: reloading and exporting give the new rule
    loaded = TestedRun.load(run)
    assert loaded.model.post_processor.record() == point
    assert (
        torch.load(run / "weights" / "tested.ckpt", weights_only=True)["anomalib_post_processor_config"]["rule"]
        == "sensitivity"
    )
    card = export_run(run, tmp_path / "bundle", limit=8)
    assert card["operating_point"] == point
    assert card["parity"]["flips_at"]["rule"] == "sensitivity"
    found = list(Detector(tmp_path / "bundle").stream(after["path"]))
    assert [result.abnormal for result in found] == after["decision"].tolist()
    # a second time, back again: the way is remembered
    assert main(["decide", str(run), "--rule", "sensitivity:0.9"]) == 0
    assert "already" in capsys.readouterr().out
    assert main(["decide", str(run), "--rule", "quantile:0.95"]) == 0
    pd.testing.assert_frame_equal(tables.read(run / "predictions.csv"), before)
    assert pictured(run) == pictured(tiny_run)
    assert [entry["rule"] for entry in load(run)["operating_point"]["history"]] == ["quantile", "sensitivity"]
    assert "changed 2 times since" in json.dumps(load(run)["caveats"])


def test_conformal_p_values_reach_predictions_card_and_edge(run, tmp_path):
    assert main(["decide", str(run), "--rule", "conformal:0.1"]) == 0
    after = tables.read(run / "predictions.csv")
    validation = tables.read(run / "validation.csv")
    normal = validation.loc[~validation["abnormal"], "raw_score"].to_numpy()
    expected = [(1 + (normal >= score).sum()) / 21 for score in after["raw_score"]]
    np.testing.assert_allclose(after["p_value"], expected, rtol=1e-8)
    assert ((after["p_value"] <= 0.1) == after["decision"]).all()
    card = export_run(run, tmp_path / "bundle")  # the validation image on the threshold is among the parity images
    assert card["parity"]["flips"] == 0
    assert main(["infer", str(tmp_path / "bundle"), *after["path"], "--out", str(tmp_path / "out")]) == 0
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([record["p_value"] for record in records], after["p_value"], rtol=1e-8)


def test_two_sided_and_pixel_rule_follow_into_the_bundle(run, tmp_path):
    pixel = load(run)["operating_point"]["pixel"]
    assert main(["decide", str(run), "--rule", "sigma_two_sided:1", "--pixel-rule", "quantile:0.9"]) == 0
    point, after = load(run)["operating_point"], tables.read(run / "predictions.csv")
    assert point["pixel"]["threshold"] < pixel["threshold"]
    outside = (after["raw_score"] < point["low"]) | (after["raw_score"] > point["high"])
    assert (outside == after["decision"]).all()
    assert (after["raw_score"] < point["low"]).any()
    np.testing.assert_allclose(after["distance"], np.abs(after["raw_score"] - point["centre"]), atol=1e-6)
    from sklearn.metrics import roc_auc_score

    assert load(run)["image"]["auroc"]["value"] == pytest.approx(roc_auc_score(after["abnormal"], after["distance"]))
    assert "distance" in (run / "report.html").read_text()
    assert export_run(run, tmp_path / "bundle", limit=40)["schema"] == 3
    detector = Detector(tmp_path / "bundle")
    found = list(detector.stream(after["path"]))
    assert [result.abnormal for result in found] == after["decision"].tolist()
    np.testing.assert_allclose([result.score for result in found], after["score"], atol=1e-4)
    assert any(result.mask.any() for result in found)


def test_without_the_images_the_report_has_figures_and_says_why_not_pictures(run, capsys):
    record = load(run, "run.json")
    record["data"]["class_path"] = "medanomaly_folder.Folder"
    record["data"]["init_args"] = {"root": str(run / "nowhere")}
    (run / "run.json").write_text(json.dumps(record))
    assert main(["decide", str(run), "--rule", "specificity:0.8"]) == 0
    assert "The report has no pictures" in capsys.readouterr().out
    assert "data:image/png" not in (run / "report.html").read_text()
    assert main(["decide", str(run), "--pixel-rule", "quantile:0.9"]) == 2
    assert "needed and not to be had" in capsys.readouterr().err


def test_a_run_without_its_scores_is_scored_again(run):
    (run / "validation.csv").rename(run / "kept.csv")
    assert main(["decide", str(run), "--rule", "youden"]) == 0
    again = load(run)["operating_point"]
    assert again["fitted_on"] == {"normal": 20, "abnormal": 20}
    rows = tables.read(run / "kept.csv")
    np.testing.assert_allclose(
        TestedRun.load(run).model.post_processor.validation["raw_score"], rows["raw_score"], rtol=1e-5
    )


def test_a_bundle_is_decided_anew(bundle, tiny_run, tmp_path, capsys):
    old = Bundle.open(bundle).card
    assert main(["decide", str(bundle), "--rule", "cost:miss=10,alarm=1,prevalence=0.3"]) == 0
    assert "Was: quantile:0.95" in capsys.readouterr().out
    card = Bundle.open(bundle).card
    assert card["files"] != old["files"]  # the graph decides too
    assert card["operating_point"]["value"] == {"miss": 10, "alarm": 1, "prevalence": 0.3}
    assert card["operating_point"]["history"][0]["rule"] == "quantile"
    assert card["operating_point"]["pixel"] == old["operating_point"]["pixel"]
    assert card["parity"]["flips_at"]["rule"] == "quantile"  # the proof was of the old one, and says so
    image = card["results"]["image"]
    assert image["auroc"] == old["results"]["image"]["auroc"]
    assert image["sensitivity"]["value"] is None
    assert "changed" in image["sensitivity"]["reason"]
    assert "The operating point was changed after the test" in [caveat["title"] for caveat in card["caveats"]]
    assert log(bundle)[0]["new"]["rule"] == "cost"
    predictions = tables.read(tiny_run / "predictions.csv")
    assert main(["infer", str(bundle), *predictions["path"], "--out", str(tmp_path / "out"), "--overlays", "none"]) == 0
    records = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    flagged = predictions["raw_score"] > card["operating_point"]["threshold"]
    assert [record["decision"] == "abnormal" for record in records] == flagged.tolist()
    assert (flagged != predictions["decision"]).any()


def test_a_bundle_of_before_keeps_no_title_that_says_the_reverse(bundle):
    card = load(bundle, "card.json")
    title = "No better than chance can be ruled out"
    card["caveats"] = [{"severity": "warning", "title": title, "text": "AUROC is 0.5."}, *card["caveats"]]
    (bundle / "card.json").write_text(json.dumps(card))
    assert main(["decide", str(bundle), "--rule", "manual:0.2"]) == 0
    titles = [caveat["title"] for caveat in load(bundle, "card.json")["caveats"]]
    assert "Chance cannot be ruled out" in titles
    assert title not in titles


def test_a_bundle_takes_scores_from_the_place_of_use(bundle, tmp_path, capsys):
    local = tmp_path / "local.csv"
    local.write_text("raw_score,label\n" + "".join(f"{0.1 + i / 1000},normal\n" for i in range(30)) + "0.5,polyp\n")
    assert main(["decide", str(bundle), "--rule", "conformal:0.05", "--scores", str(local)]) == 0
    point = Bundle.open(bundle).card["operating_point"]
    assert point["fitted_on"] == {"normal": 30, "abnormal": 1}
    assert point["threshold"] == np.float32(0.1 + 29 / 1000)
    assert main(["decide", str(bundle), "--rule", "manual:0.2", "--pixel-rule", "manual:0.4"]) == 0
    point = Bundle.open(bundle).card["operating_point"]
    assert (point["threshold"], point["pixel"]["threshold"]) == (np.float32(0.2), np.float32(0.4))
    assert len(point["history"]) == 2
    card = (bundle / "card.json").read_bytes()
    for text, message in (
        ("score,label\n1,normal\n", "needs the columns raw_score"),
        ("raw_score,abnormal\n1,maybe\n", "line 2"),
        ("raw_score,abnormal\nx,true\n", "line 2"),
        ("raw_score,abnormal\n1,false\n", "Rules that would work"),
    ):
        local.write_text(text)
        assert main(["decide", str(bundle), "--rule", "f1", "--scores", str(local)]) == 2
        assert message in capsys.readouterr().err
    assert main(["decide", str(bundle), "--pixel-rule", "quantile:0.9"]) == 2
    assert "needs the validation images" in capsys.readouterr().err
    (bundle / "validation.csv").write_text("raw_score,abnormal\n1,false\n")
    assert main(["decide", str(bundle), "--rule", "sigma"]) == 2
    assert "was altered" in capsys.readouterr().err
    (bundle / "validation.csv").unlink()
    assert main(["decide", str(bundle), "--rule", "sigma"]) == 2
    assert "has no validation scores" in capsys.readouterr().err
    assert (bundle / "card.json").read_bytes() == card


def test_what_cannot_be_decided_is_one_message_and_changes_nothing(run, tmp_path, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for arguments, message in (
        ([str(tmp_path), "--rule", "f1"], "neither a tested run"),
        ([str(run)], "--rule or --pixel-rule"),
        ([str(run), "--rule", "magic"], "There is no rule"),
        ([str(run), "--rule", "conformal:0.01"], "at least 99 normal"),
        ([str(run), "--rule", "cost"], "cost:miss=10"),
        ([str(run), "--pixel-rule", "conformal"], "not pixels"),
        ([str(run), "--rule", "f1", "--scores", str(tmp_path / "none.csv")], "cannot be read"),
    ):
        assert main(["decide", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
