"""Plugins are found by entry point; a broken or doubled one is named and the rest goes on."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import medanomaly
from medanomaly import registry
from medanomaly.registry import PluginError, get, plugins


def install(site: Path, distribution: str, module: str, source: str, group: str, entries: str) -> None:
    """Lay out an installed-looking distribution: one module and its metadata."""
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_built_ins_come_by_entry_point():
    assert set(plugins("model")) >= {"Autoencoder"}
    assert set(plugins("data")) >= {"Folder", "MedMnist", "Phantom", "Table", "WirelessCapsule"}
    for kind in ("model", "data"):
        for same in plugins(kind).values():
            assert same[0].distribution == "medanomaly"
            assert same[0].summary
            assert not same[0].summary.startswith("(")


def test_an_unknown_name_lists_the_known():
    with pytest.raises(PluginError, match=r"no model plugin 'Nothing'.*Autoencoder"):
        get("model", "Nothing")
    with pytest.raises(AttributeError, match="Autoencoder"):
        _ = __import__("medanomaly.models", fromlist=["x"]).Nothing


def test_a_broken_plugin_is_named_and_the_rest_goes_on(site, caplog):
    install(
        site,
        "bad-plugin",
        "bad_plugin",
        "import a_module_that_is_not_there",
        "medanomaly.models",
        "Bad = bad_plugin:Bad",
    )
    with pytest.raises(PluginError, match=r"'Bad' of distribution 'bad-plugin'.*a_module_that_is_not_there"):
        get("model", "Bad")
    with caplog.at_level(logging.WARNING):
        loaded = registry.load_all("model")
    assert "Autoencoder" in loaded
    assert "Bad" not in loaded
    assert "bad-plugin" in caplog.text


def test_two_plugins_of_one_name_name_both_distributions(site, capsys):
    for name in ("first-dist", "second-dist"):
        module = name.replace("-", "_")
        install(site, name, module, '"""A twin."""\nclass Twin: ...', "medanomaly.data", f"Twin = {module}:Twin")
    with pytest.raises(PluginError, match=r"'Twin' is claimed by .*-dist.* and .*-dist"):
        get("data", "Twin")
    from medanomaly.cli import main

    assert main(["plugins", "list"]) == 1
    shown = capsys.readouterr()
    assert "first-dist" in shown.err
    assert "second-dist" in shown.err
    assert "Autoencoder" in shown.out


def test_a_strangers_plugin_is_one_module_and_one_line(site):
    source = '''
        """A stranger's data set."""
        import pandas as pd
        from medanomaly.data.datamodule import MedicalDataModule
        class Strange(MedicalDataModule):
            def samples(self, root):
                return pd.DataFrame()
    '''
    install(site, "strange-data", "strange_data", source, "medanomaly.data", "Strange = strange_data:Strange")
    assert plugins("data")["Strange"][0].summary == "A stranger's data set."
    import medanomaly.data

    assert medanomaly.data.Strange.__module__ == "strange_data"


def test_register_makes_plugins_known_to_anomalib():
    from anomalib.models import get_model, list_models

    medanomaly.register()
    medanomaly.register()
    assert "autoencoder" in list_models()
    assert type(get_model("autoencoder")).__module__ == "medanomaly_autoencoder.lightning_model"
    model = get_model({"class_path": "medanomaly.models.Autoencoder", "init_args": {"latent": 3}})
    assert model.hparams["latent"] == 3


def test_get_datamodule_takes_our_folder_and_leaves_anomalibs(tmp_path):
    import anomalib.data

    medanomaly.register()
    path = {"root": str(tmp_path)}
    ours = anomalib.data.get_datamodule({"class_path": "medanomaly.data.Folder", "init_args": path})
    assert type(ours).__module__ == "medanomaly_folder.datamodule"
    short = anomalib.data.get_datamodule({"class_path": "Phantom", "init_args": path})
    assert type(short).__module__ == "medanomaly_phantom.datamodule"
    theirs = anomalib.data.get_datamodule(
        {"class_path": "anomalib.data.Folder", "init_args": {"name": "x", "normal_dir": str(tmp_path)}}
    )
    assert type(theirs) is anomalib.data.Folder


def test_plugins_list_prints_json(capsys):
    from medanomaly.cli import main

    assert main(["plugins", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["plugins"]
    row = next(row for row in rows if row["name"] == "WirelessCapsule")
    assert row["kind"] == "data"
    assert row["class_path"] == "medanomaly.data.WirelessCapsule"
    assert row["distribution"].startswith("medanomaly ")


LIGHT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'anomalib', 'lightning', 'pandas', 'matplotlib', 'sklearn'}:
            raise ImportError('a heavy module was imported: ' + name)
sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import medanomaly, medanomaly.imaging, medanomaly.edge, medanomaly.edge.infer, medanomaly.decision.rules",
        "from medanomaly.cli import main; main(['plugins', 'list'])",
        "from medanomaly.cli import main\ntry: main(['--help'])\nexcept SystemExit as e: assert e.code == 0",
        "from medanomaly.cli import main\ntry: main(['infer', '--help'])\nexcept SystemExit as e: assert e.code == 0",
    ],
)
def test_light_commands_import_nothing_heavy(statement):
    done = subprocess.run([sys.executable, "-c", LIGHT + statement], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
