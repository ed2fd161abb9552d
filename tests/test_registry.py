"""Plugins are found by entry point; a broken or doubled one is named and the rest goes on."""

from __future__ import annotations

import json
import logging
import os
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
        "import medanomaly, medanomaly.imaging, medanomaly.edge, medanomaly.edge.batch.infer_inputs, medanomaly.decision.rules",
        "from medanomaly.cli import main; main(['plugins', 'list'])",
        "from medanomaly.cli import main\ntry: main(['--help'])\nexcept SystemExit as e: assert e.code == 0",
        "from medanomaly.cli import main\ntry: main(['infer', '--help'])\nexcept SystemExit as e: assert e.code == 0",
    ],
)
def test_light_commands_import_nothing_heavy(statement):
    done = subprocess.run([sys.executable, "-c", LIGHT + statement], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BROKEN = {
    "no module": ("", "Bad = not_installed_anywhere:Bad", "not_installed_anywhere"),
    "no class": ("x = 1", "Bad = bad_plugin:Bad", "has no attribute 'Bad'"),
    "a dependency": ("import a_module_that_is_not_there", "Bad = bad_plugin:Bad", "a_module_that_is_not_there"),
    "syntax": ("class Bad(:", "Bad = bad_plugin:Bad", "SyntaxError"),
    "ends the program": ("raise SystemExit(3)", "Bad = bad_plugin:Bad", "SystemExit: 3"),
    "a number": ("Bad = 7", "Bad = bad_plugin:Bad", "it names an object of type int, not a class"),
    "a function": ("def Bad(): ...", "Bad = bad_plugin:Bad", "it names an object of type function, not a class"),
    "another class": ("class Bad: ...", "Bad = bad_plugin:Bad", "must be a subclass of"),
    "malformed": ("", "Bad = bad plugin!", "Bad"),
}


@pytest.mark.parametrize("kind", ["model", "data"])
@pytest.mark.parametrize("name", BROKEN)
def test_check_marks_a_broken_plugin_with_the_reason(site, capsys, name, kind):
    from medanomaly.cli import main

    source, entry, reason = BROKEN[name]
    install(site, "bad-plugin", "bad_plugin", source, f"medanomaly.{kind if kind == 'data' else 'models'}", entry)
    sys.modules.pop("bad_plugin", None)
    assert main(["plugins", "list"]) == 0  # nothing was imported, so nothing is known to be wrong
    assert "BROKEN" not in capsys.readouterr().out
    assert main(["plugins", "list", "--check", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["plugins"]
    broken = [row for row in rows if "error" in row]
    assert [row["name"] for row in broken] == ["Bad"]
    assert reason in broken[0]["error"]
    assert "bad-plugin" in broken[0]["error"]
    assert main(["plugins", "list", "--check"]) == 1
    assert "BROKEN: " in capsys.readouterr().out
    # The same reason where it is used.
    option, other = ("--model", ["--data", "Phantom"]) if kind == "model" else ("--data", ["--model", "Autoencoder"])
    assert main(["train", option, "Bad", *other]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert f"{option} Bad: " in err
    assert reason in err


def test_a_model_registered_as_data_is_marked(site, capsys):
    from medanomaly.cli import main

    source = "from medanomaly_autoencoder import Autoencoder as Wrong"
    install(site, "wrong-kind", "wrong_kind", source, "medanomaly.data", "Wrong = wrong_kind:Wrong")
    assert main(["plugins", "list", "--check"]) == 1
    assert (
        "it names a class for model, and for data it must be a subclass of AnomalibDataModule"
        in capsys.readouterr().out
    )


def test_the_plain_list_imports_no_plugin(site):
    """Not even the packages above a plugin's module, which ``find_spec`` would import."""
    package = site / "deep_package"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inner" / "models.py").write_text('"""A model deep down."""')
    install(site, "deep", "unused", "", "medanomaly.models", "Deep = deep_package.inner.models:Deep")
    code = """
import sys
from medanomaly.cli import main
assert main(['plugins', 'list']) == 0
loaded = [n for n in sys.modules if n.startswith(('medanomaly_', 'deep_package', 'torch', 'anomalib'))]
assert not loaded, loaded
"""
    paths = [str(site), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ":".join(paths)}
    )
    assert done.returncode == 0, done.stderr
    assert "A model deep down." in done.stdout


def test_a_plugin_that_is_installed_later_is_found(site):
    assert "Later" not in plugins("data")
    install(site, "later-data", "later_data", '"""Late."""', "medanomaly.data", "Later = later_data:Later")
    assert "Later" in plugins("data")


def run_python(code: str, site: Path | None = None) -> str:
    """What a program prints that imports the package anew."""
    path = os.pathsep.join([*([str(site)] if site else []), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@pytest.mark.parametrize("room", ["data", "models", "edge", "decision", "imaging"])
def test_importing_a_room_is_light(room):
    loaded = run_python(
        f"import sys, medanomaly.{room}; print([n for n in ('torch', 'anomalib', 'pandas', 'scipy') if n in sys.modules])"
    )
    assert loaded == "[]"


def test_public_names_are_short_and_listed_beside_the_plugins():
    import medanomaly.data as data
    import medanomaly.models as models
    from medanomaly.data import DataError, MedicalDataModule, TableError, read_columns, read_csv, split_by_group
    from medanomaly.data.datamodule import MedicalDataModule as Module
    from medanomaly.decision import OperatingPoint
    from medanomaly.edge import Detector
    from medanomaly.imaging import Preprocessing
    from medanomaly.models import MedicalModel

    assert MedicalDataModule is Module
    for found in (DataError, TableError, read_columns, read_csv, split_by_group, OperatingPoint, Detector):
        assert callable(found)
    assert callable(Preprocessing)
    assert callable(MedicalModel)
    for room, names in ((data, ("MedicalDataModule", "read_csv", "Folder")), (models, ("MedicalModel", "Autoencoder"))):
        assert set(names) <= set(dir(room))
        assert set(names) <= set(room.__all__)
    for room in (data, models):
        for name in room._PUBLIC:
            assert getattr(room, name).__name__ == name


def test_a_public_name_wins_over_a_plugin_that_is_called_the_same(site):
    install(
        site,
        "taker",
        "taker",
        '"""Takes a name."""\nclass read_csv: ...',
        "medanomaly.data",
        "read_csv = taker:read_csv",
    )
    found = run_python("import medanomaly.data; print(medanomaly.data.read_csv.__module__)", site)
    assert found == "medanomaly.data.csv_table"
