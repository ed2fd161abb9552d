"""Scores that cross zero, made greater than zero."""

from __future__ import annotations

import torch


def positive_score(z: torch.Tensor) -> torch.Tensor:
    """The positive root v of v - 1/v = z, for z of any shape.

    It is strictly increasing and never zero: 1 at z = 0, about z far above, about 1/\\|z\\| far below. A score that
    crosses zero could not be compared between torch and OpenVINO by its relative difference.
    """
    half = z / 2
    root = (half.square() + 1).sqrt()
    # Below zero the sum would cancel, and far below all scores were one.
    return torch.where(half >= 0, half + root, 1 / (root + half.abs()))
