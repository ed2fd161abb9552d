"""Resolve class names as users write them: a plugin's short name, one of anomalib's, or a class path."""

from __future__ import annotations

import importlib

from medanomaly.options import OptionError, nearest, one_line, shown
from medanomaly.registry import GROUPS, PluginError, base_of, check_kind, get, plugins


def class_names(kind: str, plugins_alone: bool = False) -> list[str]:
    """Short names that ``--model`` or ``--data`` takes: ours first, then anomalib's own; none for other options."""
    if kind not in GROUPS:
        return []
    names = [*plugins(kind)]
    if plugins_alone:
        return names
    theirs = importlib.import_module(f"anomalib.{GROUPS[kind].rpartition('.')[2]}")
    classes = (name for name in dir(theirs) if isinstance(getattr(theirs, name, None), type))
    return names + [name for name in classes if name not in names and issubclass(getattr(theirs, name), base_of(kind))]


def named_class(kind: str, name: str) -> type:
    """The class behind a short name or a class path.

    Args:
        kind: ``model`` or ``data``; for anything else the class may be of any kind.
        name: A plugin's name, an anomalib class's, or a class path.

    Raises:
        PluginError: if there is no such class, it cannot be imported, or it is of another kind.
    """
    module, _, last = name.rpartition(".")
    if kind in GROUPS and (module == GROUPS[kind] or (not module and last in plugins(kind))):
        return get(kind, last)
    if not module and kind not in GROUPS:
        raise PluginError("is no class path, such as package.module.Name")
    if not module:
        module = f"anomalib.{GROUPS[kind].rpartition('.')[2]}"
        if last not in class_names(kind):
            raise PluginError(f"there is no {kind} plugin of this name. Installed: {', '.join(plugins(kind))}")
    try:
        found = getattr(importlib.import_module(module), last)
    except AttributeError as error:
        raise PluginError(f"{module} has no class {last}") from error
    except Exception as error:
        raise PluginError(f"{module} cannot be imported ({type(error).__name__}: {one_line(error)})") from error
    if kind in GROUPS:
        try:
            check_kind(kind, found)
        except TypeError as error:
            raise PluginError(str(error)) from error
    return found


def class_error(option: str, kind: str, name: str) -> OptionError | None:
    """What is wrong with a class that was named, and the nearest name; None if it is there.

    Args:
        option: As the user wrote it.
        kind, name: As for :func:`named_class`.
    """
    try:
        named_class(kind, name)
    except PluginError as error:
        module, _, last = name.rpartition(".")
        broken = kind in GROUPS and module in ("", GROUPS[kind]) and last in plugins(kind)
        close = None if broken else nearest_class(kind, name)
        said = one_line(error).rstrip(".")
        return OptionError(f"{option} {shown(name)}: {said}." + (f" Did you mean {close}?" if close else ""))
    return None


def nearest_class(kind: str, name: str) -> str | None:
    """The class whose name is most like a misspelt one: of its module, else of all that have short names."""
    module, _, last = name.rpartition(".")
    if module == GROUPS.get(kind):
        inside = [*plugins(kind)]
    else:
        try:
            found = vars(importlib.import_module(module)) if module else {}
        except Exception:
            found, module = {}, ""
        base = base_of(kind) if kind in GROUPS else object
        inside = [key for key, value in found.items() if isinstance(value, type) and issubclass(value, base)]
    close = nearest(last, inside) if module else None
    return f"{module}.{close}" if close else nearest(last, class_names(kind))
