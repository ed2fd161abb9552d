"""The parser of our own commands: a wrong option is one line, with the nearest name."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from medanomaly.failures import fail
from medanomaly.options import WRONG, one_line, shown, suggestion, wrong_value


class Parser(argparse.ArgumentParser):
    """As argparse's, but an error is one line, without the usage, and names what is nearest; no name is cut short."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    @property
    def commands(self) -> Mapping[str, Parser]:
        """The parsers below this one by the word that chooses them; empty for one without."""
        below = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return below[0].choices if below else {}

    def error(self, message: str) -> NoReturn:
        """Print the line and end with status 2."""
        sys.exit(fail(f"{_sentence(message)} See {self.prog} --help.", WRONG))

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse's; options that are left over are compared with those of the command that was given."""
        found, rest = self.parse_known_args(args, namespace)
        if not rest:
            return found
        parser = self._chosen(sys.argv[1:] if args is None else args)
        if getattr(found, "anonymous", False):  # what is left over is a path as likely as not
            parser.error(f"{len(rest)} argument(s) too many, or options that there are not.")
        option = next((arg for arg in rest if arg.startswith("-")), rest[0]).partition("=")[0]
        if option.startswith("-"):
            parser._no_option(option)
        return parser.error(f"{shown(option)} is one argument too many.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; a misspelt option is told before those that are missing."""
        known = self._option_string_actions
        if args is not None and self._subparsers is None:
            for arg in args[: args.index("--") if "--" in args else None]:
                name = arg.partition("=")[0]
                if name.startswith("--") and name not in known:
                    self._no_option(name)
        return super().parse_known_args(args, namespace)

    def _no_option(self, name: str) -> NoReturn:
        self.error(f"there is no option {shown(name)}.{suggestion(name, self._option_string_actions)}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """As argparse's, but a type's own reason is told.

        Raises:
            OptionError: if the value is wrong.
        """
        kind = self._registry_get("type", action.type, action.type)
        if kind in (None, str) or not callable(kind):
            return super()._get_value(action, arg_string)
        try:
            return kind(arg_string)
        except (TypeError, ValueError) as error:
            reasons: dict[Any, str] = {int: "must be a whole number", float: "must be a number"}
            option = "/".join(action.option_strings) or str(action.metavar or action.dest)
            raise wrong_value(option, arg_string, reasons.get(kind, error)) from error

    def _chosen(self, args: Sequence[str]) -> Parser:
        """The parser of the command, and of its action, that the arguments begin with."""
        parser: Parser = self
        for arg in args:
            if arg not in parser.commands:
                break
            parser = parser.commands[arg]
        return parser


def _sentence(message: str) -> str:
    """argparse's message without its own words, and with the nearest of the choices."""
    text = re.sub(r"^argument ", "", one_line(message))
    choice = re.fullmatch(r"(.*?): invalid choice: (.+?) \(choose from (.*)\)", text)
    if choice:
        option, value, listed = choice.groups()
        names = [name.strip().strip("'\"") for name in listed.split(",")]
        value = value.strip("'\"")
        return f"{option} {shown(value)}: must be one of {', '.join(names)}.{suggestion(value, names)}"
    lacking = re.fullmatch(r"the following arguments are required: (.*)", text)
    if lacking:
        return f"{lacking.group(1)} must be given."
    return text if text.endswith((".", "?")) else f"{text}."
