"""Every command, option and plugin stands in the documentation."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from medanomaly.cli import build_parser

HOME = Path(__file__).parents[1]
PAGES = [file.read_text(encoding="utf-8") for file in (HOME / "README.md", *sorted((HOME / "docs").glob("*.md")))]
DOCS = "\n".join(PAGES)
GROUPS = ("medanomaly.models", "medanomaly.data")


def subparsers(parser):
    """(Name, parser) of each command that the help of a parser lists; none where it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            shown = [entry.dest for entry in action._choices_actions if entry.help is not argparse.SUPPRESS]
            yield from ((name, action.choices[name]) for name in shown)


def commands(parser, above="medanomaly"):
    """(Full name, parser) of each command and of its commands."""
    for name, found in subparsers(parser):
        yield f"{above} {name}", found
        yield from commands(found, f"{above} {name}")


def options():
    """(Command, long option) of each option that is not hidden from the help."""
    for name, parser in (("medanomaly", build_parser()), *commands(build_parser())):
        for action in parser._actions:
            if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
                continue
            for option in action.option_strings:
                yield name, option


def stands(word, text=DOCS):
    """Whether a word stands in a text, whole: ``--max`` does not stand in ``--max-files``."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def names(text, command):
    """Whether a text names a command: ``medanomaly data check`` in full, or short, as ```data check …```."""
    return stands(command, text) or stands("`" + command.removeprefix("medanomaly "), text)


def about(command):
    """What the documentation says of a command: whole pages whose opening names it, and sections that do."""
    for page in PAGES:
        opening, *sections = re.split(r"^(?=#{2,} )", page, flags=re.MULTILINE)
        yield from [page] if names(opening, command) else (text for text in sections if names(text, command))


@pytest.mark.parametrize("name", sorted({name for name, _ in commands(build_parser())}))
def test_every_command_is_documented(name):
    assert stands(name), f"`{name}` stands neither in README.md nor in docs/*.md. Say there what it does."


@pytest.mark.parametrize(("command", "option"), sorted(set(options())))
def test_every_option_is_documented(command, option):
    assert any(stands(option, text) for text in about(command)), (
        f"{option} of `{command}` stands in no section of README.md or docs/*.md that names the command. "
        "Say there what it does."
    )


@pytest.mark.parametrize("group", GROUPS)
def test_every_plugin_is_documented(group):
    text = (HOME / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split(f'[project.entry-points."{group}"]\n')[1].split("\n\n")[0]
    plugins = [line.partition(" = ")[0] for line in section.splitlines()]
    assert plugins
    lacking = [name for name in plugins if not stands(name)]
    assert not lacking, f"plugins of {group} that stand neither in README.md nor in docs/*.md: {', '.join(lacking)}"
