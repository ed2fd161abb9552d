"""Texts of others, such as file names, made fit for the page."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-!|$:~&" else letter for letter in text)
