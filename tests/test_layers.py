"""Rooms import only from floors below them, and the edge loads without the training install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOME = Path(__file__).parents[1]
PLUGINS = sorted(file.parent.name for file in (HOME / "plugins").glob("*/__init__.py"))


def rules():
    return tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


def test_every_plugin_is_under_the_rules():
    layers, sources = rules()["contracts"][1], rules()["contracts"][2]
    assert rules()["root_packages"] == ["medanomaly", *PLUGINS]
    assert layers["layers"] == [" | ".join(PLUGINS), "medanomaly"]
    assert sources["source_modules"] == PLUGINS


def test_the_floors_hold():
    pytest.importorskip("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


LIGHT = """
import importlib, pkgutil, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"anomalib", "lightning", "pandas", "scipy", "sklearn", "torch"}:
            raise ImportError(f"{name} belongs to the training install")

sys.meta_path.insert(0, Refusing())
names = ["medanomaly.decision.rules"]
for room in ("imaging", "metrics", "edge"):
    package = importlib.import_module(f"medanomaly.{room}")
    names += [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    if name not in sys.argv[1:]:
        importlib.import_module(name)
print(len(names))
"""


def test_imaging_metrics_rules_and_edge_load_without_the_training_install():
    apart = ["medanomaly.metrics.distributions"]  # the one module that needs scipy, imported where it is called
    done = subprocess.run([sys.executable, "-c", LIGHT, *apart], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60
