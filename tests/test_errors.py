"""One class catches every error that we raise on purpose."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from pathlib import Path

import medanomaly
from medanomaly import MedAnomalyError
from medanomaly.edge.batch.output_errors import OutputError
from medanomaly.options import OptionError

PLUGINS = Path(__file__).parents[1] / "plugins"
#: Not errors: what ends a program from outside.
CONTROL_FLOW = {"medanomaly.signals.Stopped"}


def own_exceptions() -> dict[str, type[BaseException]]:
    names = [module.name for module in pkgutil.walk_packages(medanomaly.__path__, "medanomaly.")]
    for package in sorted(PLUGINS.glob("medanomaly_*")):
        names += [package.name, *(m.name for m in pkgutil.walk_packages([str(package)], f"{package.name}."))]
    found = {}
    for name in names:
        for thing in vars(importlib.import_module(name)).values():
            raised = isinstance(thing, type) and issubclass(thing, BaseException) and not issubclass(thing, Warning)
            if raised and thing.__module__ == name:
                found[f"{name}.{thing.__qualname__}"] = thing
    return found


def test_every_exception_of_ours_is_a_medanomaly_error():
    found = own_exceptions()
    assert len(found) > 35
    assert {name for name, kind in found.items() if not issubclass(kind, MedAnomalyError)} == CONTROL_FLOW


def test_they_are_still_the_built_in_ones():
    assert issubclass(OptionError, ValueError)
    error = OutputError(28, "No space left on device", "x.png")
    assert (error.errno, error.filename) == (28, "x.png")
    assert str(error) == "[Errno 28] No space left on device: 'x.png'"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (of our own)
    assert (type(again), again.errno, again.filename) == (OutputError, 28, "x.png")
