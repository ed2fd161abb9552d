"""What a data plugin's own code raises is one line that names the plugin, and a file with the cause."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from medanomaly.cli import main
from medanomaly.data.datamodule import DataError, MedicalDataModule, PluginFailedError
from medanomaly.data.table import TableError

SOURCE = '''
import pandas as pd
from medanomaly.data.datamodule import MedicalDataModule


class Clinic(MedicalDataModule):
    """A stranger's plugin."""

    def prepare(self, root):
        {prepare}

    def samples(self, root):
        {samples}
'''
FAULTS = {
    "KeyError: 'Finding'": "return pd.DataFrame({'a': [1]})['Finding']",
    "ZeroDivisionError: division by zero": "1 / 0",
    "FileNotFoundError: .*labels.csv": "pd.read_csv(root / 'labels.csv')",
    "PermissionError: .*Permission denied": "raise PermissionError(13, 'Permission denied', str(root))",
    "ValueError: invalid literal": "int('seven')",
    "UnicodeDecodeError: ": "b'\\xff'.decode()",
    "StopIteration": "next(iter(()))",
    "AssertionError": "assert False",
    "samples() returned NoneType": "return None",
    "samples() returned a table that lacks the column(s) label, split": (
        "return pd.DataFrame({'image_path': ['a.png'], 'group': ['p']})"
    ),
    "samples() returned list": "return [('a.png', 'normal', 'train', 'p')]",
}


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """Write a plugin and a configuration that names it; returns the configuration."""

    def write(samples: str, prepare: str = "pass") -> Path:
        (tmp_path / "clinic_plugin.py").write_text(SOURCE.format(samples=samples, prepare=prepare))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "clinic_plugin", raising=False)
        (tmp_path / "set").mkdir(exist_ok=True)
        config = tmp_path / "config.yaml"
        config.write_text(f"data:\n  class_path: clinic_plugin.Clinic\n  init_args:\n    root: {tmp_path / 'set'}\n")
        return config

    return write


def only_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("medanomaly: ")]
    assert len(lines) == 1
    assert "Traceback" not in text
    return lines[0]


@pytest.mark.parametrize("says", FAULTS)
def test_data_check_ends_in_one_line_and_a_file(clinic, capsys, says):
    assert main(["data", "check", str(clinic(FAULTS[says]))]) == 2
    line = only_line(capsys.readouterr().err)
    assert "clinic_plugin.Clinic" in line
    assert "samples()" in line
    assert "Correct the plugin" in line
    assert re.search(says.replace("(", r"\(").replace(")", r"\)"), line)
    file = Path(re.search(r"The traceback is in (\S+)", line)[1])
    assert ("clinic_plugin.py" in file.read_text()) != says.startswith("samples()")
    file.unlink()


def test_training_ends_in_one_line_too_and_leaves_no_run(clinic, tmp_path, capsys):
    config = clinic("return pd.DataFrame({'a': [1]})['Finding']")
    args = ["train", "--config", str(config), "--model", "Autoencoder", "--default_root_dir", str(tmp_path / "results")]
    assert main([*args, "--trainer.max_epochs", "1", "--trainer.logger", "false"]) == 2
    line = only_line(capsys.readouterr().err)
    assert "clinic_plugin.Clinic: samples() failed" in line
    Path(re.search(r"The traceback is in (\S+)", line)[1]).unlink()
    assert not list((tmp_path / "results").rglob("config.yaml"))


def test_a_failed_download_names_the_plugin(clinic, capsys):
    assert main(["data", "check", str(clinic("return None", prepare="raise ConnectionError('no route to host')"))]) == 2
    assert "prepare() failed" in only_line(capsys.readouterr().err)


def test_what_a_plugin_says_itself_stands(tmp_path):
    class Clinic(MedicalDataModule):
        expects = "films"
        said: Exception | None = None

        def samples(self, root):
            raise self.said or self.missing("holds no films")

    module = Clinic(root=tmp_path)
    with pytest.raises(DataError, match="holds no films"):
        _ = module.listed
    module.said = TableError("labels.csv: lacks the film 7.")
    with pytest.raises(TableError, match=r"^labels.csv: lacks the film 7\.$"):
        _ = module.listed


def test_an_installed_plugin_is_called_by_its_name_and_distribution(tmp_path, monkeypatch):
    import medanomaly.data as data

    monkeypatch.setattr(data.Table, "samples", lambda self, root: 1 / 0)
    with pytest.raises(PluginFailedError, match="The data plugin 'Table' of distribution 'medanomaly': samples"):
        _ = data.Table(root=tmp_path).table


def test_a_table_without_rows_is_no_plugin_s_fault(tmp_path):
    class Clinic(MedicalDataModule):
        def samples(self, root):
            return pd.DataFrame(columns=["image_path", "label", "split", "group"])

    with pytest.raises(DataError, match="holds no images"):
        _ = Clinic(root=tmp_path).table
