"""Find the option that an error from a constructor is about."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jsonargparse import Namespace

from medanomaly.options import OptionError, one_line, wrong_value
from medanomaly.registry import PluginError
from medanomaly.training.class_names import named_class
from medanomaly.training.parse_errors import Typed


class Blame:
    """Instantiates classes for ``jsonargparse``, and remembers the first that could not be made.

    The parser tries each type that an option may have and reports all that went wrong with all of them; what counts is
    the class's own error.
    """

    def __init__(self) -> None:
        self.failed: tuple[type, dict[str, Any], Exception] | None = None

    def __call__(self, class_type: type, *args: Any, **kwargs: Any) -> Any:
        """Make an object."""
        try:
            return class_type(*args, **kwargs)
        except Exception as error:
            if self.failed is None:
                self.failed = (class_type, kwargs, error)
            raise


def culprit(cls: type, options: Mapping[str, Any], given: Collection[str], error: Exception) -> str | None:
    """The option that an error is about.

    It is the one that the message names, of those that the user gave; where it names none or several, the one without
    which the object can be made.

    Args:
        cls: What was to be made.
        options: All of its options.
        given: Names of those that the user gave.
        error: What came of it.

    Returns:
        The option's name; None if it cannot be told.
    """
    suspects = [name for name in _named(options, error) if name in given]
    if len(suspects) == 1:
        return suspects[0]
    for name in suspects or [name for name in options if name in given]:
        if _can_be_made(cls, {key: value for key, value in options.items() if key != name}):
            return name
    return named(options, given, error)


def named(options: Mapping[str, Any], given: Collection[str], error: Exception) -> str | None:
    """The first option that an error names, one that the user gave before others; None if it names none."""
    found = _named(options, error)
    return next((name for name in found if name in given), next(iter(found), None))


def _named(options: Mapping[str, Any], error: Exception) -> list[str]:
    text = one_line(error)
    return [name for name in options if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)]


def _can_be_made(cls: type, options: dict[str, Any]) -> bool:
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cls(**options)
    except Exception:
        return False
    finally:
        logging.disable(level)
    return True


def reason(error: Exception) -> str:
    """An error's own sentence; after its kind where that is not one to refuse a value with."""
    odd = isinstance(error, (LookupError, ArithmeticError, AttributeError, AssertionError)) or not str(error)
    return f"{type(error).__name__}: {one_line(error)}" if odd else one_line(error)


def refused(made: Blame, given: Any, typed: Typed) -> OptionError | None:
    """The error for what could not be made; None if everything could.

    Args:
        made: What made the objects.
        given: The configuration without defaults.
        typed: The command's arguments.
    """
    if made.failed is None:
        return None
    cls, options, error = made.failed
    if isinstance(error, OptionError):
        return error
    place, names = _place(cls, given)
    name = culprit(cls, options, names, error)
    if name is None:
        return OptionError(f"{place or cls.__name__}: {cls.__name__} cannot be made: {reason(error).rstrip('.')}.")
    return wrong_value(typed.option(f"{place}.init_args.{name}")[0], options[name], reason(error))


def _place(cls: type, given: Any) -> tuple[str, list[str]]:
    """Where a class stands in a configuration, and the names of the options that are given there."""
    for place, class_path, options in places(given):
        try:
            found = named_class(place, class_path)
        except PluginError:
            continue
        if found is cls:
            return place, list(options)
    return "", []


def places(config: Any, path: str = "") -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each class that a configuration names: its place, its class path and its options, the innermost first."""
    if isinstance(config, (list, tuple)):
        for item in config:
            yield from places(item, path)
    items = config if isinstance(config, Mapping) else vars(config) if isinstance(config, Namespace) else {}
    for key, value in items.items():
        yield from places(value, f"{path}.{key}" if path else str(key))
    if isinstance(items.get("class_path"), str):
        options = items.get("init_args") or {}
        yield path, items["class_path"], options if isinstance(options, Mapping) else vars(options)
