"""``medanomaly report`` as people use it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.report_parts import Page, pictures

from medanomaly.cli import main


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def cases(text: str) -> list[str]:
    return [attrs["title"] or "" for attrs in Page(text).all("h4")]


def test_a_report_is_made_again_with_its_pictures(run, tiny_run, capsys):
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"Report: {run / 'report.html'}\n"
    again, before = ((folder / "report.html").read_text(encoding="utf-8") for folder in (run, tiny_run))
    assert cases(again) == cases(before)
    assert "Borderline" in again
    assert len(pictures(again)) == len(pictures(before)) > 10
    assert Page(again).text == Page(before).text


def test_without_its_data_a_report_says_that_it_has_no_pictures(run, tmp_path, capsys):
    record = json.loads((run / "run.json").read_text())
    record["data"]["class_path"] = "medanomaly_folder.datamodule.Folder"
    record["data"]["init_args"] = {"root": str(tmp_path / "gone"), "image_size": 32}
    (run / "run.json").write_text(json.dumps(record))
    assert main(["report", str(run), "--out", str(tmp_path / "page.html")]) == 0
    assert "The report has no pictures" in capsys.readouterr().out
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "The report has no pictures" in page.text
    assert not page.all("img")


def test_without_weights_a_report_keeps_its_figures(run, capsys):
    (run / "weights" / "tested.ckpt").unlink()
    assert main(["report", str(run)]) == 0
    assert "tested.ckpt" in capsys.readouterr().out
    assert "AUROC" in Page((run / "report.html").read_text(encoding="utf-8")).text


def test_runs_stand_side_by_side_with_links_to_their_reports(run, tiny_run, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert main(["report", str(run), str(tiny_run), "--out", str(out)]) == 0
    page = Page(out.read_text(encoding="utf-8"))
    assert "A against B" in page.text
    assert "24 of 24 and 24" in page.text or "images in common" in page.text
    links = [attrs["href"] or "" for attrs in page.all("a") if (attrs["href"] or "").endswith("report.html")]
    assert [(tmp_path / link).resolve() for link in links] == [run / "report.html", tiny_run / "report.html"]


def test_a_folder_that_is_no_run_is_one_message(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is not a tested run" in capsys.readouterr().err


def test_files_of_two_tests_are_refused(run, capsys):
    lines = (run / "predictions.csv").read_text().splitlines(keepends=True)
    (run / "predictions.csv").write_text("".join(lines[:-1]))
    assert main(["report", str(run)]) == 2
    assert "not of one test" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "{}", '{"image": {"images": 3, "confusion": null}}'])
def test_unreadable_evidence_is_one_message(run, text, capsys):
    (run / "evidence.json").write_text(text)
    assert main(["report", str(run)]) == 2
    assert "evidence.json: is unreadable" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_message(run, tiny_run, tmp_path, capsys):
    assert main(["report", str(run), str(tiny_run), "--out", str(tmp_path / "no" / "page.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["evidence.json", "predictions.csv", "weights/tested.ckpt", "picture.png", "other.html"]
)
def test_a_file_that_is_no_report_is_never_written_over(run, capsys, name):
    (run / "picture.png").write_bytes(b"\x89PNG")
    (run / "other.html").write_text("<!doctype html>\n<title>theirs</title> Made by medanomaly")
    before = (run / name).read_bytes()
    for runs in ([run], [run, run]):
        assert main(["report", *map(str, runs), "--out", str(run / name)]) == 2
        error = capsys.readouterr().err
        assert error == (
            f"medanomaly: {run / name}: is there already, and is no report of medanomaly. "
            "Name another file with --out.\n"
        )
        assert (run / name).read_bytes() == before


def test_a_report_is_replaced_by_another_of_whatever_kind(run, tiny_run, tmp_path, capsys):
    out = tmp_path / "page.html"
    for runs in ([run], [run, tiny_run], [run]):
        assert main(["report", *map(str, runs), "--out", str(out)]) == 0
    (run / "report.html").write_text("damaged")
    assert main(["report", str(run)]) == 0
    assert "AUROC" in (run / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()


def test_the_default_of_several_runs_is_no_leave_to_write_over_a_file(run, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "side_by_side.html").write_text("theirs")
    assert main(["report", str(run), str(tiny_run)]) == 2
    assert "is no report of medanomaly" in capsys.readouterr().err
    assert (tmp_path / "side_by_side.html").read_text() == "theirs"
