"""Shorten jsonargparse's message about a wrong option to one sentence.

Its own message lists every type that was tried, over up to forty lines. Here the innermost complaint is taken out of
it, and put with the option's full name, its value, what is allowed and the nearest name.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from medanomaly.options import OptionError, one_line, shown, suggestion, wrong_value
from medanomaly.training.class_names import class_error, class_names, named_class

#: The pieces of a message that matter.
_PIECE = re.compile(
    r'Parser key "(?P<key>[^"]+)"'
    r"|Problem with given class_path '(?P<cls>[^']*)':(?=\s*(?P<why>.*))"
    r"|Option '(?P<unknown>[^']+)' is not accepted"
    r"|(?:Subcommand|Group) '(?P<group>[^']+)' does not accept option '(?P<member>[^']+)'"
    r"|Expected a path but (?P<name>.*) either not accessible or invalid"
    r"|Expected a dot import path string: (?P<path>.*)"
    r"|Import path (?P<other>\S*).*does not correspond"
    r"|Subtypes: \[(?P<types>.*)\]"
    r"|Expected an? (?P<type>.*?)(?:\. Got value: (?P<got>.*))?$"
    r"|Given value: (?P<value>.*)",
    re.MULTILINE,
)

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}


class Typed:
    """The arguments of a command as they were typed.

    Args:
        args: The arguments.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.args = list(args)

    def option(self, place: str, only: str | None = None) -> tuple[str, str | None]:
        """How the user wrote an option, and its value where it was typed.

        Args:
            place: Its place in the configuration, such as ``data.init_args.seed``.
            only: Its value, if it may have been given several times.

        Returns:
            ``--data.init_args.seed`` or ``--data.seed`` as it was typed; else the place, after the file that holds it.
        """
        for i, arg in enumerate(self.args):
            name, equals, value = arg.partition("=")
            name = name.removesuffix("+")
            if name.startswith("--") and _plain(name[2:]) == _plain(place):
                given = value if equals else next(iter(self.args[i + 1 :]), None)
                if only is None or given == only:
                    return name, given
        file = next((file for file in self.files if _holds(file, place.split("."))), None)
        return f"{file}: {place}" if file else place, None

    @property
    def files(self) -> list[str]:
        """Configuration files, the last first: it has the last word."""
        pairs = zip(self.args, [*self.args[1:], ""], strict=True)
        found = [arg.partition("=")[2] or after for arg, after in pairs if arg.partition("=")[0] in ("--config", "-c")]
        return found[::-1]

    def last(self, prefix: str) -> str:
        """The last argument that begins with an option's name."""
        return next((arg for arg in reversed(self.args) if arg.startswith(prefix)), prefix)


def _plain(place: str) -> str:
    return place.replace(".init_args", "").replace("-", "_")


def _holds(file: str, keys: list[str]) -> bool:
    """Whether a configuration file says something of an option."""
    try:
        found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    places = [found]
    for key in keys:
        places = [item for place in places for item in (place if isinstance(place, list) else [place])]
        places = [place[key] for place in places if isinstance(place, Mapping) and key in place]
    return bool(places)


def explain(message: str, parser: ArgumentParser, args: Sequence[str]) -> OptionError:
    """The one-line error for what jsonargparse said.

    Args:
        message: Its message.
        parser: Of the command.
        args: The command's arguments.
    """
    typed = Typed(args)
    left = re.match(r"Unrecognized arguments: (.*)", message, re.DOTALL)
    if left:
        return _unrecognised(left.group(1), parser)
    lacking = re.search(r"argument (\S+): (expected .*)", message)
    if lacking:
        return OptionError(f"{typed.last(lacking.group(1))}: needs a value.")
    required = re.search(r"Option '(?:[^'.]+\.)?([^']+)' is required", message)
    if required:
        return missing(required.group(1))
    return _innermost(message, parser, typed)


def missing(option: str) -> OptionError:
    """The error for an option that must be given."""
    names = f": {', '.join(class_names(option, plugins_alone=True))}" if option in ("model", "data") else ""
    return OptionError(f"--{option} must be given{names}.")


def _unrecognised(text: str, parser: ArgumentParser) -> OptionError:
    words = text.split()
    option = next((word for word in words if word.startswith("-")), None)
    if option is None:
        return OptionError(f"{shown(words[0])} is one argument too many.")
    name, equals, value = option.partition("=")
    following = words[words.index(option) + 1 :]
    value = value if equals else next(iter(following), "")
    return _unknown(name, name, value, [o for action in parser._actions for o in action.option_strings])


def _unknown(option: str, name: str, value: Any, names: Sequence[str], of: str = "") -> OptionError:
    """The error for an option that is not there.

    Args:
        option: As the user wrote it.
        name: What is not known in it.
        value: What was given with it.
        names: What is known.
        of: The class that it was given to; empty for the command itself.
    """
    hint = suggestion(name, names)
    first, dot, rest = name.partition(".")
    if not hint and dot:  # a wrong first word: --modle.init_args.width
        close = suggestion(first, names).removesuffix("?")
        hint = f"{close}.{rest}?" if close else ""
    given = "" if value in (None, "") else f" (given: {shown(value)})"
    listed = f" Allowed: {', '.join(names)}." if of and names else ""
    what = f"{of} has no option {name}" if of else "there is no such option"
    return OptionError(f"{option}: {what}{given}.{hint}{listed}")


def _innermost(message: str, parser: ArgumentParser, typed: Typed) -> OptionError:
    """What the message says of the innermost option in it."""
    place, cls, types, value, named = "", "", "", None, None
    for piece in _PIECE.finditer(message):
        part = {key: text.strip() for key, text in piece.groupdict().items() if text is not None}
        if "key" in part:
            place = f"{place}.init_args.{part['key']}" if cls else f"{place}.{part['key']}".lstrip(".")
            cls, types = "", ""
        elif "cls" in part:
            cls = part["cls"]
            if not part["why"].startswith(("Parser key", "Option '")):
                return _class_error(place, cls, part["why"], typed)
        elif "unknown" in part:
            return _no_option(place, cls, part["unknown"], typed)
        elif "member" in part:
            prefix = "" if part["group"] in typed.args[:1] else f"{part['group']}."
            option, given = typed.option(prefix + part["member"])
            return _unknown(option, prefix + part["member"], given, [a.dest for a in parser._actions if a.dest])
        elif "name" in part or "path" in part or "other" in part:
            named = part.get("name", part.get("path", part.get("other")))
            if place in ("model", "data"):
                return _class_error(place, str(named), "", typed)
        elif "types" in part:
            types = part["types"]
        elif "type" in part:
            types = types or part["type"]
            value = part.get("got", value)
            if value is not None:
                break
        elif "value" in part:
            value = part["value"]
            break
    if not place or value is None:
        return OptionError(f"{one_line(message).rstrip('.')}.")
    option, _ = typed.option(place)
    return wrong_value(option, value, f"must be {_allowed(types)}", _choices(types))


def _class_error(place: str, name: str, why: str, typed: Typed) -> OptionError:
    """The error for a class that is not there, or of another kind."""
    option, _ = typed.option(place, name)
    if "has no attribute 'keys'" in why:
        return OptionError(f"{option}.init_args: must be options by name, as in init_args: {{name: value}}.")
    return class_error(option, place, name) or wrong_value(option, name, why or "is of another kind", ())


def _no_option(place: str, class_path: str, name: str, typed: Typed) -> OptionError:
    """The error for an option that a class does not have."""
    option, value = typed.option(f"{place}.init_args.{name}")
    try:
        cls: Any = named_class(place, class_path)
        names = options_of(cls)
    except Exception:
        names = []
    return _unknown(option, name, value, names, class_path.rpartition(".")[2])


def options_of(cls: type) -> list[str]:
    """Names of a class's options, those that it hands on to its parents included."""
    parser = ArgumentParser(exit_on_error=False)
    added = parser.add_class_arguments(cls, "x", fail_untyped=False)
    return list(dict.fromkeys(name.removeprefix("x.").partition(".")[0] for name in added))


def _allowed(types: str) -> str:
    """Types as jsonargparse prints them, in words; null last."""
    text = re.sub(r"<class '([^']*)'>", r"\1", types)
    text = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(\w+)", r"\1", text)
    words: list[str] = []
    for item in re.findall(r"(?:[^,\[]|\[(?:[^\[\]]|\[[^\]]*\])*\])+", text):
        item = item.strip()
        if item.startswith("Literal["):
            words += [value.strip().strip("'\"") for value in item[8:-1].split(",")]
        else:
            words.append(_WORDS.get(item, f"the class path of a {item}" if item[:1].isupper() else item))
    words = [word for word in dict.fromkeys(words) if word != "null"] + ["null"] * ("null" in words)
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else next(iter(words), "of another type")


def _choices(types: str) -> list[str]:
    """Names that a value may have: those that are listed, and classes of the kinds that are."""
    names = [
        value for listed in re.findall(r"Literal\[([^\]]*)\]", types) for value in re.findall(r"'([^']*)'", listed)
    ]
    for path in re.findall(r"(?:[A-Za-z_]\w*\.)+[A-Z]\w*", types):
        module, _, name = path.rpartition(".")
        try:
            waiting = [getattr(importlib.import_module(module), name)]
        except (ImportError, AttributeError):
            continue
        while waiting:
            cls = waiting.pop()
            below: list[type] = type.__subclasses__(cls) if isinstance(cls, type) else []
            names += [sub.__name__ for sub in below]
            waiting += below
    return names
