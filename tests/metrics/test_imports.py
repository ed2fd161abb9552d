"""Metrics need numpy alone: the base install, and rooms that load fast, import them."""

from __future__ import annotations

import subprocess
import sys

_PROBE = """
import importlib, pkgutil, sys
import medanomaly.metrics as room
heavy = ("scipy", "pandas", "torch", "sklearn", "anomalib")
for found in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
    if found.name != "medanomaly.metrics.distributions":
        importlib.import_module(found.name)
        loaded = [name for name in heavy if name in sys.modules]
        assert not loaded, f"{found.name} imports {loaded}"
"""


def test_no_module_but_distributions_imports_more_than_numpy():
    found = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
