"""Published cells: valid for one configuration and one content of the data, beside the number that the rule chooses."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import write_image
from tools import results

from medanomaly.data.dataset_digest import digests
from medanomaly.metrics.ranking import Ranking

ONE = {"name": "local contrast", "direction": "low", "chosen_on": "validation", "auroc": 0.853, "settled": True}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A checkout with one configuration, ``ae_cells``, and the images that it names."""
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split"]
    for i, split in enumerate(["train", "train", "val", "val", "test", "test"]):
        write_image(tmp_path / "cells" / f"{i}.bmp", rng.integers(0, 255, (8, 8), dtype=np.uint8))
        lines.append(f"{i}.bmp,{'sick' if i in (3, 5) else 'normal'},p{i},{split}")
    (tmp_path / "cells" / "split.csv").write_text("\n".join(lines) + "\n")
    config = {
        "model": {"class_path": "medanomaly.models.Autoencoder"},
        "data": {"class_path": "medanomaly.data.MalariaCells", "init_args": {"root": str(tmp_path / "cells")}},
    }
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "ae_cells.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "README.md").write_text("Words.\n<!-- results -->\nold\n<!-- /results -->\nMore.\n")
    monkeypatch.setattr(results, "HOME", tmp_path)
    monkeypatch.setattr(results, "CELLS", tmp_path / "results")
    results.CELLS.mkdir()
    return tmp_path


def keep(seed=0, value=0.9, one=ONE):
    """Write a cell of the configuration and the data as they are now."""
    cell = {
        **digests(results.config_path("ae_cells")),
        **{"model": "Autoencoder", "data": "MalariaCells", "seed": seed, "seconds": 7},
        "test": {"normal": 1, "abnormal": 1, "groups": 2},
        "auroc": {"value": value, "low": value - 0.05, "high": value + 0.05},
        "one_number": one,
        "difference": {"value": 0.05, "low": 0.01, "high": 0.09},
        "parity": {"score_relative": 1e-6, "flips": 0},
    }
    results.cell_path("ae_cells", seed).write_text(json.dumps(cell))
    return cell


def other_pixels(home):
    write_image(home / "cells" / "0.bmp", np.zeros((8, 8), np.uint8))  # the split stays, and the file's size


def other_split(home):
    path = home / "cells" / "split.csv"
    path.write_text(path.read_text().replace("0.bmp,normal,p0,train", "0.bmp,normal,p0,test"))


@pytest.mark.parametrize("change", [other_split, other_pixels])
def test_a_cell_of_other_data_is_run_anew_and_not_shown(home, monkeypatch, capsys, change):
    cell = keep()
    assert results.done("ae_cells", 0) == cell
    assert "0.900 (0.850 to 0.950)" in results.table(["ae_cells"], [0])
    change(home)
    assert results.done("ae_cells", 0) is None
    for text in (results.table(["ae_cells"], [0]), results.summary([0])):
        assert "0.9" not in text.partition("|---")[2]
    assert "seed 0: to be measured again, the data have changed" in results.table(["ae_cells"], [0])
    assert results.DUE in results.summary([0])
    ran = []
    monkeypatch.setattr(results, "run_cell", lambda name, seed, keep: ran.append((name, seed)) or cell)
    monkeypatch.setattr("sys.argv", ["results.py", "--configs", "ae_cells", "--seeds", "0"])
    assert results.main() == 0
    assert ran == [("ae_cells", 0)]


def test_one_seed_of_other_data_leaves_the_others(home):
    keep(1, 0.7)
    other_pixels(home)
    keep(0, 0.9)
    text = results.table(["ae_cells"], [0, 1, 2])
    assert "| 0.900 |" in text
    assert "0.900 (0.850 to 0.950); seed 1: to be measured again, the data have changed |" in text
    assert "0.700" not in text


def test_data_that_are_not_here_are_not_compared(home):
    cell = keep()
    shutil.rmtree(home / "cells")
    assert results.done("ae_cells", 0) == cell


def test_a_changed_configuration_makes_a_cell_stale(home):
    keep()
    path = results.config_path("ae_cells")
    path.write_text(path.read_text() + "trainer: {max_epochs: 3}\n")
    assert results.split("ae_cells", [0, 1]) == ({}, {0: "the configuration has changed"})


def test_tables_name_the_number_with_its_direction_and_where_it_was_chosen(home):
    keep()
    assert "| 0.853 low local contrast |" in results.table(["ae_cells"], [0])
    assert "| trivial baseline | 0.853 low local contrast |" in results.summary([0])
    keep(one={**ONE, "direction": "high", "chosen_on": "test"})
    assert "| 0.853 local contrast (chosen on the test) |" in results.table(["ae_cells"], [0])
    keep(one={**ONE, "settled": False})
    assert "| 0.853 low local contrast (not settled on validation) |" in results.table(["ae_cells"], [0])


def test_write_replaces_what_stands_between_the_marks(home):
    keep()
    results.write([0])
    text = (home / "README.md").read_text()
    assert "old" not in text
    assert "| `Autoencoder` | 0.900 |" in text
    assert text.startswith("Words.")
    assert text.endswith("More.\n")


def test_a_kept_run_is_made_where_the_cell_alone_is_there(home, monkeypatch):
    cell = keep()
    asked = []
    monkeypatch.setattr(results, "run_cell", lambda name, seed, keep: asked.append(keep) or cell)
    runs = home / "runs"
    arguments = ["results.py", "--configs", "ae_cells", "--seeds", "0", "--keep", str(runs)]
    monkeypatch.setattr("sys.argv", arguments)
    assert results.main() == 0
    assert asked == [runs / "ae_cells-0"]
    (runs / "ae_cells-0").mkdir(parents=True)
    assert results.main() == 0
    assert len(asked) == 1


@pytest.fixture(scope="module")
def described(tiny_run, tmp_path_factory):
    """The cell of the tiny run, its evidence, and the cell where the check says that another number was chosen."""
    work = tmp_path_factory.mktemp("described")
    evidence = json.loads((tiny_run / "evidence.json").read_text())
    low = shutil.copytree(tiny_run, work / "run")
    changed = json.loads((low / "evidence.json").read_text())
    changed["checks"]["one_number"] |= {"name": "sharpness", "direction": "low"}
    (low / "evidence.json").write_text(json.dumps(changed))
    return results.describe(tiny_run, work / "a"), evidence, results.describe(low, work / "b")


def test_the_baseline_is_the_reports_own_choice_on_validation(described):
    cell, evidence, _ = described
    one, check = cell["one_number"], evidence["checks"]["one_number"]
    assert check["chosen_on"] == "validation"
    best = max(check["all"], key=lambda row: abs(row["validation"] - 0.5))
    assert (one["name"], one["direction"]) == (best["name"], "low" if best["validation"] < 0.5 else "high")
    assert one["auroc"] == pytest.approx(check["auroc"]["value"])
    assert cell["difference"]["value"] == pytest.approx(evidence["image"]["auroc"]["value"] - one["auroc"])
    assert cell["difference"]["low"] < cell["difference"]["value"] < cell["difference"]["high"]
    assert [row["name"] for row in one["all"]] == [row["name"] for row in check["all"]]


def test_the_baseline_is_turned_where_low_is_abnormal(described, tiny_run):
    cell, evidence, low = described
    rows = {row["name"]: row["test"] for row in evidence["checks"]["one_number"]["all"]}
    assert low["one_number"]["auroc"] == pytest.approx(1 - rows["sharpness"])
    assert low["one_number"]["name"] == "sharpness"
    scores = pd.read_csv(tiny_run / "predictions.csv")
    model = Ranking(scores["raw_score"].to_numpy(), scores["abnormal"].to_numpy()).auroc()
    assert low["difference"]["value"] == pytest.approx(model - low["one_number"]["auroc"])
    assert cell["parity"]["flips"] == low["parity"]["flips"] == 0
