"""Find plugins by entry point, import them when used, and make them known to anomalib.

A plugin is one import package with one class, named by one entry point of the group ``medanomaly.models`` or
``medanomaly.data``. The built-in plugins come in by the same door as anybody's.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from medanomaly.errors import MedAnomalyError
from medanomaly.options import one_line

logger = logging.getLogger(__name__)

GROUPS = {"model": "medanomaly.models", "data": "medanomaly.data"}


class PluginError(MedAnomalyError, RuntimeError):
    """A plugin is missing, broken, or two share a name. The message names the plugin and its distribution."""


@dataclass(frozen=True)
class Plugin:
    """One entry point: what is known of a plugin before it is imported."""

    name: str
    kind: str
    distribution: str
    version: str
    entry_point: EntryPoint

    @property
    def address(self) -> str:
        """Class path that configurations use, whoever wrote the plugin: ``medanomaly.models.<Name>``."""
        return f"{GROUPS[self.kind]}.{self.name}"

    @property
    def module(self) -> str:
        """The module that its entry point names; empty where the entry point is malformed."""
        return self.entry_point.value.partition(":")[0].strip()

    @property
    def package(self) -> str:
        """The import package that it is in."""
        return self.module.partition(".")[0]

    @property
    def summary(self) -> str:
        """First line of the plugin module's docstring, read from its source without importing anything."""
        try:
            source = _source(self.module)
            if source is None:
                return "(its package is not installed)"
            doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        except Exception as error:
            return one_line(f"(cannot be read: {type(error).__name__}: {error})")
        return one_line(doc.splitlines()[0]) if doc else ""

    def load(self) -> type:
        """Import the plugin and return its class.

        Raises:
            PluginError: if the import fails, for whatever reason, or gives no class of the plugin's kind; names the
                plugin and its distribution.
        """
        try:
            found = self.entry_point.load()
        except (Exception, SystemExit) as error:
            raise self._broken(f"{type(error).__name__}: {one_line(error)}") from error
        try:
            check_kind(self.kind, found)
        except TypeError as error:
            raise self._broken(str(error)) from error
        return found

    def _broken(self, why: str) -> PluginError:
        return PluginError(
            f"The {self.kind} plugin '{self.name}' of distribution '{self.distribution}' cannot be loaded "
            f"({why}). Reinstall or remove that distribution."
        )


def _source(module: str) -> Path | None:
    """The file of a module; None where there is none.

    ``importlib.util.find_spec`` imports the packages above a module: only the first is asked for here, and the rest is
    looked up as files.
    """
    package, _, below = module.partition(".")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *below.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def check_kind(kind: str, found: Any) -> None:
    """See that what was named is a class of a kind.

    Raises:
        TypeError: if it is no class, or one of another kind; the message says what it is.
    """
    if not isinstance(found, type):
        raise TypeError(f"it names an object of type {type(found).__name__}, not a class")
    base = base_of(kind)
    if not issubclass(found, base):
        other = next((k for k in GROUPS if k != kind and issubclass(found, base_of(k))), None)
        what = f"a class for {other}" if other else f"the class {found.__name__}"
        raise TypeError(f"it names {what}, and for {kind} it must be a subclass of {base.__name__}")


def base_of(kind: str) -> type:
    """What a class of a kind must extend."""
    if kind == "model":
        from anomalib.models import AnomalibModule

        return AnomalibModule
    from anomalib.data import AnomalibDataModule

    return AnomalibDataModule


def plugins(kind: str) -> dict[str, list[Plugin]]:
    """All plugins of a kind (``model`` or ``data``) by name; more than one in a list is a conflict."""
    return {name: [*same] for name, same in _found(kind, tuple(sys.path), _stamps()).items()}


def _stamps() -> tuple[int, ...]:
    """When something was last installed or removed, for each place that is searched."""
    stamps = []
    for place in sys.path:
        try:
            stamps.append(os.stat(place or ".").st_mtime_ns)  # noqa: PTH116 (an entry may be no path at all)
        except (OSError, ValueError):
            stamps.append(0)
    return tuple(stamps)


@lru_cache(maxsize=8)
def _found(kind: str, places: tuple[str, ...], stamps: tuple[int, ...]) -> dict[str, list[Plugin]]:
    # Reading the metadata of all that is installed takes 50 ms, and a command line asks for it some hundred times.
    del places, stamps
    found: dict[str, list[Plugin]] = {}
    for point in entry_points(group=GROUPS[kind]):
        dist = point.dist
        plugin = Plugin(point.name, kind, dist.name if dist else "unknown", dist.version if dist else "", point)
        same = found.setdefault(point.name, [])
        # An editable install can leave its metadata on the path twice: that is one plugin, not a conflict.
        if not any(p.distribution == plugin.distribution and p.entry_point.value == point.value for p in same):
            same.append(plugin)
    return dict(sorted(found.items()))


def conflicts() -> list[str]:
    """One sentence for each name that two distributions claim."""
    return [_conflict(kind, name, same) for kind in GROUPS for name, same in plugins(kind).items() if len(same) > 1]


def _conflict(kind: str, name: str, same: list[Plugin]) -> str:
    owners = " and ".join(f"'{p.distribution}' ({p.entry_point.value})" for p in same)
    return f"The {kind} plugin name '{name}' is claimed by {owners}. Remove one of them."


def get(kind: str, name: str) -> type:
    """The class of the plugin ``name``.

    Raises:
        PluginError: if the name is unknown, claimed twice, or the plugin cannot be imported.
    """
    known = plugins(kind)
    if name not in known:
        raise PluginError(f"There is no {kind} plugin '{name}'. Installed: {', '.join(known) or 'none'}.")
    if len(known[name]) > 1:
        raise PluginError(_conflict(kind, name, known[name]))
    return known[name][0].load()


def lazy_attribute(
    kind: str, module: str, public: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for a module that offers its public names, and the plugins of a kind by name.

    A public name wins over a plugin that is called the same: what is written against this package stays what it was,
    whatever is installed beside it. Such a plugin needs another name.

    Args:
        kind: ``model`` or ``data``.
        module: The module's name.
        public: The module below it that holds each public name. Nothing is imported before a name is asked for.
    """
    own = lazy_names(module, public)

    def getattr_(name: str) -> Any:
        if name in public:
            return own(name)
        # ``__all__`` is asked of a module by ``import *``; other such names are Python's own.
        if name == "__all__":
            return dir_()
        if name.startswith("_") or name not in plugins(kind):
            raise AttributeError(
                f"module '{module}' has no attribute '{name}'; {kind} plugins: {', '.join(plugins(kind))}"
            )
        return get(kind, name)

    def dir_() -> list[str]:
        return sorted({*public, *plugins(kind)})

    return getattr_, dir_


def lazy_names(module: str, public: Mapping[str, str]) -> Callable[[str], Any]:
    """``__getattr__`` for a module whose public names are imported from the modules below it on first use.

    Args:
        module: The module's name.
        public: The module below it that holds each public name.
    """

    def getattr_(name: str) -> Any:
        if name not in public:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        found = getattr(importlib.import_module(f"{module}.{public[name]}"), name)
        setattr(sys.modules[module], name, found)
        return found

    return getattr_


def load_all(kind: str) -> dict[str, type]:
    """Import every plugin of a kind; a broken or doubly claimed one is logged by name and left out."""
    loaded = {}
    for name in plugins(kind):
        try:
            loaded[name] = get(kind, name)
        except PluginError as error:
            logger.warning("%s The other plugins go on.", error)
    return loaded


def register() -> None:
    """Make every plugin known to anomalib by name and by class path. Calling it again does no harm.

    anomalib 2.7 finds models by walking the direct subclasses of ``AnomalibModule`` and takes class paths from four
    modules only; ``get_datamodule`` drops the package of a class path. Hence: import all, extend the list of modules,
    and let class paths of ours go to the registry first.
    """
    from medanomaly.anomalib_compat.plugin_lookup import allow_models, replace_datamodule_lookup

    models = load_all("model")
    load_all("data")
    modules = {cls.__module__ for cls in models.values()}
    allow_models({GROUPS["model"], *modules, *(module.split(".")[0] for module in modules)})
    replace_datamodule_lookup(_datamodule)


def _datamodule(config: Any) -> Any | None:
    """The data module of a plugin that a configuration names; None where it names another class."""
    import anomalib.data
    from omegaconf import OmegaConf

    node = config.get("data", config)
    package, _, name = str(node["class_path"]).rpartition(".")
    ours = plugins("data")
    own_packages = {p.package for same in ours.values() for p in same}
    short_name = not package and name in ours and not hasattr(anomalib.data, name)
    if not (package == GROUPS["data"] or package.split(".")[0] in own_packages or short_name):
        return None
    args = node.get("init_args") or {}
    return get("data", name)(**dict(OmegaConf.to_container(OmegaConf.create(args))))  # type: ignore[arg-type]
