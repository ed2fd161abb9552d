"""Cells: reused while nothing has changed, absent data said, a page from what is there."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image
from tools.reproduce import cells, command, page, running
from tools.reproduce.candidates import best
from tools.reproduce.cells import Cells
from tools.reproduce.figures import decided, decisions, sensitivity_at
from tools.reproduce.gi_bleeding import with_share
from tools.reproduce.inputs import data_digest
from tools.reproduce.paths import Paths, hashes, lacking
from tools.reproduce.splits import by_image
from tools.reproduce.system import Section, System
from tools.reproduce.systems import SYSTEMS
from tools.reproduce.tables import Missing, Table
from tools.reproduce.training import Training, rooted

AE = Training("ae", "configs/ae_wce.yaml", {"--data.init_args.image_size": "32"}, data=("$MEDANOMALY_DATA/set/a.csv",))


@pytest.fixture
def paths(tmp_path, monkeypatch):
    (tmp_path / "data" / "set").mkdir(parents=True)
    (tmp_path / "data" / "set" / "a.csv").write_text("path\n")
    monkeypatch.setenv("MEDANOMALY_DATA", str(tmp_path / "data"))
    return Paths.of(quick=False, out=tmp_path / "out")


def cell_of(training, seed, quick=False, value=0.8):
    return {
        "row": training.name,
        "key": training.key(seed, quick),
        "command": "medanomaly train",
        "figures": {"auroc": {"value": value, "low": value - 0.05, "high": value + 0.05}},
        "facts": {},
        "images": {"normal": 3, "abnormal": 4, "groups": 7},
        "seconds": 1,
        "versions": {"torch": "2"},
        "date": "2026-01-01",
    }


def test_command_names_config_options_and_seed():
    command = AE.command(3)
    assert command[:3] == ["train", "--config", "configs/ae_wce.yaml"]
    assert command[command.index("--model.init_args.seed") + 1] == "3"
    assert "--data.init_args.image_size" in command
    assert "--trainer.limit_train_batches" in AE.command(3, quick=True)


def test_class_is_named_before_its_options():
    training = Training("t", "configs/ae_wce.yaml", {"--data.init_args.csv": "DIR/x.csv", "--data": "a.B"})
    command = training.command(0)
    assert command.index("--data") < command.index("--data.init_args.csv")


def test_printed_command_is_one_for_the_shell():
    training = Training(
        "t", AE.config, {"--data.init_args.synthetic_anomalies": '["noise:0.2", "foreign:$MEDANOMALY_DATA/x"]'}
    )
    printed = training.printed(0)
    assert printed.startswith("python -m medanomaly.cli train --config configs/ae_wce.yaml ")
    words = shlex.split(printed)
    assert (
        words[words.index("--data.init_args.synthetic_anomalies") + 1] == '["noise:0.2", "foreign:$MEDANOMALY_DATA/x"]'
    )


def test_finished_cells_are_used_again_until_something_changes(paths, monkeypatch):
    calls = []

    def measured(training, seed, quick):
        calls.append((training.name, seed))
        return cell_of(training, seed)

    monkeypatch.setattr(running, "measure", measured)
    work = [("system", AE)]
    assert running.run_all(work, paths, 0) == {}
    assert running.run_all(work, paths, 0) == {}
    assert calls == [("ae", 0)]
    running.run_all(work, paths, 0, fresh=True)
    running.run_all(work, paths, 1)
    changed = Training(AE.name, AE.config, {"--data.init_args.image_size": "64"}, data=AE.data)
    running.run_all([("system", changed)], paths, 0)
    assert calls == [("ae", 0), ("ae", 0), ("ae", 1), ("ae", 0)]
    assert cells.read(paths, "system", AE, 0) is None


@pytest.fixture
def listed(paths):
    """A training whose images are there, and the folder that it names."""
    root = paths.out.parent / "data" / "set"
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split"]
    for i, split in enumerate(["train", "val", "test", "test"]):
        write_image(root / f"{i}.bmp", rng.integers(0, 255, (8, 8), dtype=np.uint8))
        lines.append(f"{i}.bmp,{'sick' if i == 3 else 'normal'},p{i},{split}")
    (root / "split.csv").write_text("\n".join(lines) + "\n")
    options = {"--data": "medanomaly.data.Table", **rooted("set")}
    return Training("listed", AE.config, options, data=("$MEDANOMALY_DATA/set/split.csv",)), root


def other_pixels(root):
    write_image(root / "0.bmp", np.zeros((8, 8), np.uint8))  # the split stays, and the file's size


def other_split(root):
    path = root / "split.csv"
    path.write_text(path.read_text().replace("2.bmp,normal,p2,test", "2.bmp,normal,p2,train"))


@pytest.mark.parametrize("change", [other_split, other_pixels])
def test_cells_of_other_data_are_run_anew_and_not_shown(paths, listed, monkeypatch, change):
    training, root = listed
    calls = []

    def measured(training, seed, quick):
        calls.append(training.name)
        return cell_of(training, seed) | {"data_sha256": data_digest(training, seed, quick)}

    monkeypatch.setattr(running, "measure", measured)
    work = [("system", training)]
    running.run_all(work, paths, 0)
    running.run_all(work, paths, 0)
    assert calls == ["listed"]
    change(root)
    assert cells.read(paths, "system", training, 0) is None
    found = Cells.load(paths, "system", [training], 0)
    assert found.figure("listed", "auroc") == Missing("not run on the present data yet")
    running.run_all(work, paths, 0)
    assert calls == ["listed", "listed"]
    assert "listed" in Cells.load(paths, "system", [training], 0)


def test_cells_are_shown_where_their_data_are_not(paths, listed, monkeypatch):
    training, _ = listed
    cells.write(paths, "system", training, 0, cell_of(training, 0) | {"data_sha256": data_digest(training, 0, False)})
    monkeypatch.delenv("MEDANOMALY_DATA")
    assert data_digest(training, 0, False) is None
    assert "listed" in Cells.load(paths, "system", [training], 0)


def test_digest_knows_prepared_lists_further_tests_and_files_that_are_needed(paths, listed):
    training, root = listed
    first = data_digest(training, 0, False)

    def dealt(work, seed):
        table = pd.read_csv(root / "split.csv", dtype=str, keep_default_na=False)
        table.assign(group=[f"{seed}-{i}" for i in range(len(table))]).to_csv(work / "random.csv", index=False)

    csv = {"--data.init_args.csv": "DIR/random.csv"}
    random = replace(training, options={**training.options, **csv}, prepare=dealt)
    assert len({first, data_digest(random, 0, False), data_digest(random, 1, False)}) == 3
    further = replace(training, prepare=dealt, also={"random": {**training.options, **csv}})
    assert data_digest(further, 0, False) != first
    needs = replace(training, data=(*training.data, "$MEDANOMALY_DATA/set/a.csv"))
    before = data_digest(needs, 0, False)
    (root / "a.csv").write_text("changed\n")
    assert data_digest(needs, 0, False) != before
    assert data_digest(training, 0, False) == first


def test_one_that_fails_leaves_the_others(paths, monkeypatch):
    def measured(training, seed, quick):
        if training.name == "bad":
            raise RuntimeError("diverged")
        return cell_of(training, seed)

    monkeypatch.setattr(running, "measure", measured)
    bad = Training("bad", AE.config)
    failed = running.run_all([("system", bad), ("system", AE)], paths, 0)
    assert failed == {("system", "bad"): "RuntimeError: diverged"}
    assert cells.read(paths, "system", AE, 0)


def test_absent_data_are_said_and_not_run(paths, monkeypatch):
    monkeypatch.setattr(running, "measure", lambda *_: pytest.fail("ran without its data"))
    absent = Training("far", AE.config, data=("$MEDANOMALY_DATA/octmnist/octmnist.npz",))
    assert running.run_all([("system", absent)], paths, 0) == {}
    found = Cells.load(paths, "system", [absent], 0)
    assert found.figure("far", "auroc") == Missing("not measured: data absent (octmnist/octmnist.npz)")


def test_figures_that_an_older_cell_lacks_are_said(paths):
    cells.write(paths, "system", AE, 0, cell_of(AE, 0))
    found = Cells.load(paths, "system", [AE], 0)
    assert found.figure("ae", "new") == Missing("not read: run the row with --fresh")
    assert best(found, ["ae"], "new") is None


def test_lacking_weights_and_variables(paths, monkeypatch):
    assert lacking(["$MEDANOMALY_DATA/set/a.csv"]) is None
    assert lacking(["$MEDANOMALY_DATA/set/b.csv|set/a.csv"]) is None
    monkeypatch.delenv("MEDANOMALY_WEIGHTS", raising=False)
    assert lacking(["$MEDANOMALY_WEIGHTS/x.safetensors"]) == "not measured: $MEDANOMALY_WEIGHTS is not set"
    monkeypatch.setenv("MEDANOMALY_WEIGHTS", str(paths.out))
    assert lacking(["$MEDANOMALY_WEIGHTS/x.safetensors"]) == "not measured: weights absent (x.safetensors)"


def test_data_are_hashed(paths):
    assert hashes() == {}
    data = paths.out.parent / "data" / "set" / "split.csv"
    data.write_text("path,label\n")
    assert list(hashes()) == ["set/split.csv"]


def tiny(training):
    def section(found, _paths):
        return Section(["Words.", Table("T", ("row", "AUROC"), [["`ae`", found.figure("ae", "auroc")]])])

    return System("system", "A system", [training], section)


def test_page_shows_another_seed_beside_the_first(paths):
    for seed, value in ((0, 0.8), (1, 0.82), (2, 0.87), (3, 0.95)):
        cells.write(paths, "system", AE, seed, cell_of(AE, seed, value=value))
    page.write([tiny(AE)], paths, 0, {})
    text = paths.page.read_text()
    assert "| `ae` | 0.800 (0.750 to 0.850) |" in text
    assert "| 0.820 (0.770 to 0.870) | 1 | yes |" in text
    assert "| 2 | no, but the intervals overlap |" in text
    assert "| 3 | no |" in text
    assert "1 of 3 lie in the interval, 1 do not overlap with it." in text
    assert str(paths.out.parent) not in text
    assert json.loads(paths.table("system").read_text())["tables"][0]["title"] == "T"
    assert paths.plot("system").is_file()


def test_every_section_stands_without_a_single_cell(paths):
    page.write(SYSTEMS, paths, 0, {})
    lines = paths.page.read_text().splitlines()
    assert sum(line.startswith("## ") for line in lines) == 5
    for row, what in (
        ("octmnist", "octmnist/octmnist.npz"),
        ("nih_effusion", "chestxray14/Data_Entry_2017.csv or chestxray14/Data_Entry_2017_v2020.csv"),
        ("rsna", "rsna_mammography/train.csv"),
    ):
        assert f"- `{row}`: not measured: data absent ({what})" in lines


def test_rows_are_unique_and_their_configurations_there():
    for system in SYSTEMS:
        names = [training.name for training in system.trainings]
        assert len(set(names)) == len(names)
        assert all(training.values["model"] for training in system.trainings)


def test_quick_results_lie_elsewhere():
    assert Paths.of(quick=True).page.parent.name == "reproduce_quick"
    assert Paths.of(quick=False).page.name == "RESULTS.md"


def test_unknown_rows_are_refused(paths, capsys):
    with pytest.raises(SystemExit):
        command.main([tiny(AE)], ["--rows", "nothing", "--out", str(paths.out)])
    assert "no row nothing in system; rows: ae" in capsys.readouterr().err


def rows(scores, abnormal):
    paths = [f"{i}.png" for i in range(len(scores))]
    return pd.DataFrame(
        {"path": paths, "label": "x", "group": paths, "abnormal": abnormal, "raw_score": scores, "decision": False}
    )


def test_decisions_by_another_rule_are_fitted_on_validation():
    validation = rows([1.0, 2.0, 3.0, 4.0], [False, False, True, True])
    test = rows([0.5, 2.5, 2.0, 5.0], [False, False, True, True])
    found = decisions(decided(test, validation, "manual", 2.2), "x_")
    assert found["x_sensitivity"]["count"] == [1, 2]
    assert found["x_false_positives"]["count"] == [1, 2]
    both = decided(test, validation, "sigma_two_sided", 0.5)
    assert both["decision"].tolist() == [True, True, True, True]
    assert "distance" in both


def test_sensitivity_at_a_false_positive_rate_of_the_tests_own_normals():
    test = rows([float(i) for i in range(100)] + [94.5, 98.0], [False] * 100 + [True, True])
    assert sensitivity_at(test, 0.05)["count"] == [2, 2]
    assert sensitivity_at(test, 0.02)["count"] == [1, 2]


def test_validation_of_a_prevalence():
    validation = rows([float(i) for i in range(30)], [False] * 10 + [True] * 20)
    for share, counts in ((0.5, (10, 10)), (0.8, (5, 20)), (0.2, (8, 2))):
        part = with_share(validation, share)
        assert (int((~part["abnormal"]).sum()), int(part["abnormal"].sum())) == counts


def test_random_split_keeps_the_numbers_and_parts_the_patients():
    split = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(40)],
            "label": ["normal"] * 20 + ["abnormal"] * 20,
            "group": [f"p{i // 4}" for i in range(40)],
            "split": (["train"] * 12 + ["val"] * 4 + ["test"] * 4) * 2,
        }
    )
    dealt = by_image(split, 0)
    assert (dealt.groupby(["split", "label"]).size() == split.groupby(["split", "label"]).size()).all()
    assert dealt["group"].is_unique
    assert not dealt["split"].equals(split["split"])
    assert by_image(split, 0)["split"].equals(dealt["split"])
