"""``infer``: what a wrong name, a damaged record, a person's own file or a broken number must not do."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.batch.test_output_ownership import ALL, tree, video
from tests.edge.conftest import records

from medanomaly.cli import main
from medanomaly.edge import BundleError, Detector
from medanomaly.edge.batch.anonymous import Anonymous
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.edge.batch.output_ownership import OutError
from medanomaly.edge.batch.verify_bundle import verify
from medanomaly.edge.bundle_graph import describe
from medanomaly.edge.detector import core
from medanomaly.edge.result import Result


@pytest.mark.parametrize("given", ["typo.png", "typo-*.png", "a.tif#frame=3", "empty"])
def test_inputs_of_which_none_is_there_replace_no_records(drawn_bundle, greys, tmp_path, capsys, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    infer(drawn_bundle, greys[20:], "out")
    before = tree(Path("out"))
    assert main(["infer", str(drawn_bundle), given, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"medanomaly: No input was found: {given}: ")
    assert "out holds the records of an earlier run, which stay" in error
    assert error.count("\n") == 1
    assert tree(Path("out")) == before
    assert main(["infer", str(drawn_bundle), given, "--out", "new"]) == 1
    assert main(["infer", str(drawn_bundle), given, greys[0], "--out", "out"]) == 1
    assert len(records(Path("out"))) == 2


@pytest.mark.parametrize("name", ["000003-mine.png", "000003-.png", "copy"])
def test_a_file_with_the_number_of_the_next_record_is_not_ours_for_that(drawn_bundle, greys, tmp_path, name):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[20:23], out, Options(pictures=ALL))
    if name == "copy":  # of one of ours
        name = "000003-22.png"
        shutil.copy(out / "overlays" / "000002-22.png", out / "overlays" / name)
    else:
        (out / "overlays" / name).write_bytes(b"mine")
    before = tree(out)
    with pytest.raises(OutError, match=f"{name}: belongs to no record"):
        infer(drawn_bundle, greys[:1], out)
    assert tree(out) == before


DAMAGED = [{"time": "abc"}, {"time": None}, {"time": float("inf")}, {"score": "high"}, {"raw_score": []}, {"input": 7}]
DAMAGED += [{"status": None}, {"time": 10**400}]


@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize("damage", DAMAGED, ids=map(repr, range(len(DAMAGED))))
def test_a_damaged_record_is_named_by_its_line(drawn_bundle, tmp_path, capsys, damage, resume):
    out = tmp_path / "out"
    infer(drawn_bundle, [video(tmp_path / "a.avi")], out)
    lines = (out / "results.jsonl").read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), **damage})
    (out / "results.jsonl").write_text("\n".join(lines) + "\n")
    assert main(["infer", str(drawn_bundle), str(tmp_path / "a.avi"), "--out", str(out), *resume]) == 2
    error = capsys.readouterr().err
    assert f"{out / 'results.jsonl'}: line 2 is no record" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000])
def test_a_frame_number_that_is_none_is_no_frame(drawn_bundle, greys, tmp_path, number):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[:1], out)
    with (out / "results.jsonl").open("a") as file:
        file.write(json.dumps({"input": f"a#frame={number}", "status": "ok", "time": 0}) + "\n")
    assert infer(drawn_bundle, greys[:2], out, Options(resume=True)).scored == 1


def test_the_sum_is_of_what_was_scored(tmp_path):
    names, file = Anonymous(bytes(32)), tmp_path / "a.png"
    file.write_bytes(b"first")
    names.giving(str(file))
    assert names.content(str(file)) == hashlib.sha256(b"first").hexdigest()
    file.write_bytes(b"the second")
    assert names.content(str(file)) is None  # not scored
    names.giving(str(file))
    assert names.content(str(file)) == hashlib.sha256(b"the second").hexdigest()
    file.write_bytes(b"a third one")
    assert Anonymous(bytes(32)).content(str(file)) == hashlib.sha256(b"a third one").hexdigest()


def test_an_address_of_a_frame_is_that_frame(drawn_bundle, tmp_path):
    film = video(tmp_path / "a.avi", 5)
    infer(drawn_bundle, [film], tmp_path / "all")
    given = [f"{film}#frame={number}" for number in (4, 2, 9, 0)]
    infer(drawn_bundle, given, tmp_path / "some")
    found, whole = records(tmp_path / "some"), records(tmp_path / "all")
    assert [record["input"] for record in found] == given
    assert [record["status"] for record in found] == ["ok", "ok", "failed", "failed"]
    for record, same in zip(found[:2], (whole[3], whole[1]), strict=True):
        assert {**record, "seconds": 0} == {**same, "seconds": 0, **({"overlay": record["overlay"]})}
    assert infer(drawn_bundle, given, tmp_path / "some", Options(resume=True)).before == 4
    assert len(records(tmp_path / "some")) == 4


def edited_card(bundle: Path, out: Path, edit) -> Path:
    shutil.copytree(bundle, out)
    card = json.loads((out / "card.json").read_text())
    edit(card)
    (out / "card.json").write_text(json.dumps(card))
    return out


NUMBERS = [("threshold", value) for value in (float("nan"), float("inf"), 1e39, "0.5", True, 10**400)]
NUMBERS += [("scale", value) for value in (0, -1.0, float("nan"), float("inf"), 1e-60)] + [("centre", float("nan"))]


@pytest.mark.parametrize(("name", "value"), NUMBERS, ids=map(repr, range(len(NUMBERS))))
@pytest.mark.parametrize("pixel", [False, True])
def test_a_card_that_cannot_decide_is_refused(drawn_bundle, greys, tmp_path, capsys, name, value, pixel):
    if name == "centre" and pixel:
        return

    def edit(card: dict) -> None:
        (card["operating_point"]["pixel"] if pixel else card["operating_point"])[name] = value

    bundle = edited_card(drawn_bundle, tmp_path / "bundle", edit)
    field = f"operating_point.{'pixel.' if pixel else ''}{name} is "
    with pytest.raises(BundleError, match=field):
        Detector(bundle)
    assert main(["infer", str(bundle), greys[0], "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert field in error
    assert "card.json" in error
    assert "export it again" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changed", [{"score": float("nan")}, {"p_value": float("inf")}, {"parts": {"a": np.nan}}])
def test_a_score_that_is_no_number_is_a_failure(drawn_bundle, greys, tmp_path, monkeypatch, changed):
    scored = Detector._scored

    def broken(*args) -> Result:
        result = scored(*args)
        for name, value in changed.items():
            object.__setattr__(result, name, value)
        return result

    monkeypatch.setattr(Detector, "_scored", broken)
    summary = infer(drawn_bundle, greys[:1], tmp_path / "out")
    assert (summary.scored, summary.failed) == (0, 1)
    text = (tmp_path / "out" / "results.jsonl").read_text()
    json.loads(text, parse_constant=pytest.fail)


def test_a_card_edited_by_hand_is_said_in_one_line(drawn_bundle, greys, tmp_path, capsys):
    from medanomaly.edge.bundle import sha256

    sealed = edited_card(drawn_bundle, tmp_path / "sealed", lambda card: card.update(schema=2))
    card = json.loads((sealed / "card.json").read_text())
    graph = core().read_model(sealed / "model.xml")
    describe(graph, {**card, "model": {"name": "A"}, "input": {"type": "float32"}})
    import openvino as ov

    ov.save_model(graph, tmp_path / "model.xml", compress_to_fp16=False)
    for name in ("model.xml", "model.bin"):
        shutil.copyfile(tmp_path / name, sealed / name)
        card["files"][name] = sha256(sealed / name)
    (sealed / "card.json").write_text(json.dumps(card))
    for bundle, said in ((sealed, True), (drawn_bundle, False)):
        assert main(["infer", str(bundle), greys[0], "--out", str(tmp_path / f"out{said}")]) == 0
        error = capsys.readouterr().err
        assert ("was edited by hand" in error) == said
        assert error.count("\n") == said
        assert ("medanomaly verify" in error) == said


def test_a_device_that_is_not_here(drawn_bundle, greys, tmp_path, capsys, monkeypatch):
    main(["infer", str(drawn_bundle), greys[0], "--device", "NPU", "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert "--device NPU: is not on this machine; here: CPU" in error
    assert "?." not in error
    main(["infer", str(drawn_bundle), greys[0], "--device", "CPUU", "--out", str(tmp_path / "out")])
    assert capsys.readouterr().err.endswith("Did you mean CPU?\n")


def test_the_remedy_for_a_wrong_key_keeps_its_number(drawn_bundle, greys, tmp_path, capsys):
    (tmp_path / "bad").write_text("xyz")
    options = ["--anonymous", "--anonymous-key", str(tmp_path / "bad"), "--out", str(tmp_path / "out")]
    assert main(["infer", str(drawn_bundle), greys[0], *options]) == 2
    assert "(64 hex digits)" in capsys.readouterr().err


def test_verify_says_that_the_self_test_was_skipped(drawn_bundle, tmp_path):
    bundle = Path(shutil.copytree(drawn_bundle, tmp_path / "bundle"))
    (bundle / "model.bin").write_bytes(b"x")
    last = verify(bundle).checks[-1]
    assert (last.name, last.good) == ("self-test", None)
    assert "skipped" in last.text


def test_a_picture_is_read_as_before(drawn_bundle, tmp_path):
    from medanomaly.imaging import decode

    image = write_image(tmp_path / "a.png", np.full((20, 24, 3), 220, np.uint8))
    infer(drawn_bundle, [image], tmp_path / "out", Options(pictures=ALL))
    for picture in (tmp_path / "out").glob("*/*.png"):
        assert decode(picture).size
        assert b"Softwaremedanomaly" in picture.read_bytes().replace(b"\0", b"")
