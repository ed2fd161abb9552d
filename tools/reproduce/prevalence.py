"""What precision, F1 and prevalence say of one another, and of a classifier that flags everything."""

from __future__ import annotations

from medanomaly.metrics.confusion import flag_all_f1


def recall_of(precision: float, f1: float) -> float:
    """The recall that a precision and an F1 imply: F1 = 2 P R / (P + R).

    Raises:
        ValueError: if no recall in (0, 1] gives them.
    """
    recall = f1 * precision / (2 * precision - f1) if 2 * precision > f1 else float("inf")
    if not 0 < recall <= 1:
        raise ValueError(f"no recall gives an F1 of {f1} at a precision of {precision}")
    return recall


def false_positive_rate_of(precision: float, recall: float, prevalence: float) -> float:
    """The false-positive rate that a precision and a recall imply at a prevalence in (0, 1); above 1 is impossible."""
    return recall * prevalence * (1 - precision) / (precision * (1 - prevalence))


def least_auroc(recall: float, false_positive_rate: float) -> float:
    """The least AUROC of any ROC curve through a point: it jumps up only where it must.

    A curve that never falls and passes through (f, r) has at least the area r (1 - f).
    """
    return recall * (1 - false_positive_rate)


def concave_auroc(recall: float, false_positive_rate: float) -> float:
    """The AUROC of the two straight lines from (0, 0) by the point to (1, 1): the least of any concave ROC curve."""
    return (1 + recall - false_positive_rate) / 2


def flag_all(prevalence: float) -> tuple[float, float]:
    """Precision and F1 of flagging every image at a prevalence in (0, 1]; its recall is 1 and its AUROC 0.5."""
    return prevalence, flag_all_f1(prevalence)


def prevalence_for(precision: float, recall: float, false_positive_rate: float) -> float:
    """The prevalence, in [0, 1), at which a recall and a false-positive rate give a precision below 1."""
    odds = false_positive_rate * precision / (recall * (1 - precision))
    return odds / (1 + odds)
