"""Every public name of version 0.1.0 is found under its old path, with a warning that says the new one."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from medanomaly._moved import RenamedWarning
from medanomaly._moved_names import MODULES, NAMES

#: What no plugin and no configuration could use: the parts of the triage page, which step by step became another.
PAGE = "medanomaly.app"
#: What nobody needs any more: code that only tests reached, and a decoder's inside.
GONE = {
    "medanomaly.decision.score": {"from_unit"},
    "medanomaly.decision": {"Any"},
    "medanomaly.evidence.calibration": {"fit_isotonic"},
    "medanomaly.evidence.two_by_two": {"clopper_pearson"},
}
OLD = [line.split(":") for line in (Path(__file__).parent / "names_0_1_0.txt").read_text().splitlines()]


@pytest.mark.parametrize(
    ("module", "names"), [(m, n.split()) for m, n in OLD if not m.startswith(PAGE) and m != "medanomaly.imaging.tiff"]
)
def test_a_name_of_0_1_0_is_found(module, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenamedWarning)
        found = importlib.import_module(module)
        assert [name for name in names if not hasattr(found, name) and name not in GONE.get(module, ())] == []


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_an_old_module_warns_with_the_new_name(old, new, monkeypatch):
    assert importlib.util.find_spec(new), "the table names a module that is not there"
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(RenamedWarning, match=rf"{old} is {new} now"):
        importlib.import_module(old)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_an_old_name_is_the_new_thing(module, name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(importlib.import_module(module), name)
    where, _, what = NAMES[module][name].rpartition(".")
    assert found is getattr(importlib.import_module(where), what)
    assert module in MODULES or any(f"is {where}.{what} now" in str(one.message) for one in caught)


def test_the_warning_names_the_line_that_used_the_old_name(tmp_path):
    (tmp_path / "theirs.py").write_text("import os\nfrom medanomaly.imaging import Reading\n")
    command = [sys.executable, "-c", "import theirs"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr
    assert "theirs.py:2: RenamedWarning: medanomaly.imaging.Reading is medanomaly.imaging.Preprocessing now." in said


def test_our_own_code_uses_no_old_name():
    code = (
        "import warnings, pkgutil, importlib, medanomaly\n"
        "from medanomaly._moved import RenamedWarning\n"
        "warnings.simplefilter('error', RenamedWarning)\n"
        "for found in pkgutil.walk_packages(medanomaly.__path__, 'medanomaly.'):\n"
        "    '.script' in found.name or importlib.import_module(found.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_old_name_that_never_was_is_no_module():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("medanomaly.evidence.nothing")
    with pytest.raises(AttributeError):
        _ = importlib.import_module("medanomaly.imaging").Nothing


def test_the_page_for_upgrading_lists_every_old_name():
    from tools.list_old_names import PAGE, page

    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python -m tools.list_old_names"
