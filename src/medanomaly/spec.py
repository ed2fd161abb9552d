"""Parse ``name:argument``, the grammar of rules in configurations and on command lines.

``name``, ``name:0.95``, ``name:1,99``, ``name:miss=10,alarm=1`` or ``name:PATH``. Here the text is taken apart and
numbers are read; what each name allows, and the words of the error, are its owner's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """A rule taken apart.

    Args:
        name: What stands before the first colon.
        argument: What stands behind it, and may hold further colons; ``""`` for ``name:``, None without a colon.
    """

    name: str
    argument: str | None = None

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Take a text apart; every text fits."""
        name, colon, argument = text.partition(":")
        return cls(name, argument if colon else None)

    @property
    def named(self) -> bool:
        """Whether the argument is written ``key=value,…``."""
        return "=" in (self.argument or "")

    def integer(self) -> int:
        """The argument as one whole number.

        Raises:
            ValueError: if it is none, or there is no argument.
        """
        return int(self.argument or "")

    def number(self) -> float:
        """The argument as one number; infinity and NaN are numbers here.

        Raises:
            ValueError: if it is none, or there is no argument.
        """
        return float(self.argument or "")

    def numbers(self, count: int) -> tuple[float, ...]:
        """The argument as ``count`` numbers between commas.

        Raises:
            ValueError: if one of them is no number, or there are more or fewer.
        """
        found = tuple(float(part) for part in (self.argument or "").split(","))
        if len(found) != count:
            raise ValueError(f"{count} numbers are needed, not {len(found)}")
        return found

    def named_numbers(self) -> dict[str, float]:
        """The argument as numbers by name, from ``key=value,…``; of a name given twice the last counts.

        Raises:
            ValueError: if a part is not written ``key=value``, or its value is no number.
        """
        pairs = (item.split("=") for item in (self.argument or "").split(","))
        return {name.strip(): float(number) for name, number in pairs}
