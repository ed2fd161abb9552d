"""``Report``: what ``medanomaly data check`` found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What was found.

    Args:
        counts: Images and groups for each split and label.
        sizes: How many images have which size, as ``width×height``.
        depths: How many images are stored as which type.
        unreadable: Images that cannot be read, or whose mask cannot or does not fit, with the reason.
        empty_masks: Masks that mark nothing at the size and in the field of view that the model sees.
        duplicates: Sets of images with the same stored pixels, whatever window is put over them: their addresses and
            splits. Blank ones are no duplicates.
        one_number: For each image statistic its AUROC on the test split (full frame by its depth, and as the model sees
            it) and over all images (full frame); None where a class is missing.
        notes: What was not written as expected and read all the same, see :attr:`MedicalDataModule.notes`.
        blank: Images of one value throughout.
        shallow: Images of more than 8 bits that use less than a tenth of their depth, under a rule that scales by it.
        intensity: The rule.
    """

    counts: list[dict[str, Any]]
    sizes: Counter = field(default_factory=Counter)
    depths: Counter = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    empty_masks: list[str] = field(default_factory=list)
    duplicates: list[list[tuple[str, str]]] = field(default_factory=list)
    one_number: dict[str, dict[str, float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    shallow: list[str] = field(default_factory=list)
    intensity: str = "dtype"

    @property
    def leaks(self) -> list[list[tuple[str, str]]]:
        """Duplicates that lie in more than one split: the model would be tested on what it learned."""
        return [same for same in self.duplicates if len({split for _, split in same}) > 1]

    @property
    def ok(self) -> bool:
        """Whether nothing leaks and everything can be read."""
        return not self.leaks and not self.unreadable
