"""Which training images are rejected, and when: iterative training set refinement of Beggel et al."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.svm import OneClassSVM

from medanomaly.options import OptionError

REJECTIONS = ("none", "quantile", "ocsvm")
#: Of the rejected images, the share of least reconstruction error that is never pushed away (ibid., sec. 4.2).
SPARED = 0.8


@dataclass(frozen=True)
class Rejection:
    """Schedule and rule. Rounds come ``every`` epochs after pretraining; each looks at the images still kept.

    Args:
        method: ``none``; ``quantile`` rejects the share with the lowest density; ``ocsvm`` what a one-class SVM (RBF
            kernel) with nu = ``share`` leaves outside.
        pretrain_epochs: Epochs on all images before the first round.
        rounds: Number of rounds.
        every: Epochs of training after each round.
        share: Share of the kept images that a round rejects.
        weight: Weight, zero or less, of rejected images after the last round's training. Below zero those with the
            largest reconstruction errors are pushed away, as in the paper's re-training; the others stay at zero.
        minimum_kept: Least number of training images that must be left.

    Raises:
        ValueError: for an option out of range.
    """

    method: str = "none"
    pretrain_epochs: int = 10
    rounds: int = 3
    every: int = 5
    share: float = 0.02
    weight: float = 0.0
    minimum_kept: int = 32

    def __post_init__(self) -> None:
        """Check the options."""
        if self.method not in REJECTIONS:
            raise ValueError(f"rejection must be one of {', '.join(REJECTIONS)}, not '{self.method}'")
        if min(self.pretrain_epochs, self.rounds, self.every) < 1 or not 0 < self.share < 1 or self.weight > 0:
            raise ValueError(
                "need pretrain_epochs, rejection_rounds, rejection_every >= 1, 0 < rejection_share < 1, "
                f"rejection_weight <= 0; got {self.pretrain_epochs}, {self.rounds}, {self.every}, {self.share:g}, "
                f"{self.weight:g}"
            )

    @property
    def last_epoch(self) -> int:
        """The epoch at whose start re-training begins, all rounds done."""
        return self.pretrain_epochs + self.rounds * self.every

    def round_at(self, epoch: int) -> int:
        """The round, from 1, due at the start of an epoch (from 0); 0 for none."""
        since = epoch - self.pretrain_epochs
        due = self.method != "none" and 0 <= since < self.rounds * self.every and since % self.every == 0
        return since // self.every + 1 if due else 0

    def check(self, number: int, max_epochs: int) -> None:
        """Check the plan before training starts.

        Args:
            number: Training images.
            max_epochs: Length of the training, -1 for endless.

        Raises:
            ValueError: if the rounds do not fit into the training, or would leave fewer than ``minimum_kept``.
        """
        if self.method == "none":
            return
        if 0 <= max_epochs < self.last_epoch:
            raise OptionError(
                f"trainer.max_epochs={max_epochs} ends before the last rejection round is trained: pretrain_epochs + "
                f"rejection_rounds × rejection_every is {self.last_epoch}. Raise the one or lower the others"
            )
        self.enough(int(number * (1 - self.share) ** self.rounds), number)

    def enough(self, left: int, number: int) -> None:
        """Raise if fewer than ``minimum_kept`` images would be left.

        Raises:
            ValueError: then; it names the options to change.
        """
        if left < self.minimum_kept:
            raise OptionError(
                f"rejection would leave {left} of {number} training images, fewer than minimum_kept="
                f"{self.minimum_kept}. Lower rejection_share or rejection_rounds, or minimum_kept"
            )

    def rejected(self, codes: np.ndarray, log_density: np.ndarray) -> np.ndarray:
        """Which of the kept images to reject, bool (n,), from their codes (n, d) and log densities (n,)."""
        if self.method == "ocsvm":
            return OneClassSVM(nu=self.share).fit(codes).predict(codes) < 0
        chosen = np.zeros(len(codes), bool)
        chosen[np.argsort(log_density, kind="stable")[: round(self.share * len(codes))]] = True
        return chosen

    def pushed(self, errors: np.ndarray) -> np.ndarray:
        """Which of the rejected images, by reconstruction error (m,), get the negative weight: bool (m,)."""
        if not self.weight or not len(errors):
            return np.zeros(len(errors), bool)
        return errors > np.quantile(errors, SPARED)
