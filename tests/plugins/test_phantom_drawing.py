"""The drawn frames: reproducible, exactly masked, and not to be told apart by any one number."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medanomaly_phantom.drawing import draw

FRAMES_PER_CLASS = 200


def _log_redness(frame: np.ndarray) -> np.ndarray:
    channels = frame.astype(np.float64)
    return np.log((channels[..., 0] + 1) / (channels[..., 1] + 1))


def _ratio_redness(frame: np.ndarray) -> float:
    channels = frame.astype(np.float64)
    return float(np.mean(channels[..., 0] / (channels[..., 1] + 1)))


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)


def _local_variance(frame: np.ndarray) -> float:
    grey = _grey(frame)
    return float(np.mean(cv2.blur(grey**2, (7, 7)) - cv2.blur(grey, (7, 7)) ** 2))


ONE_NUMBER: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda frame: float(frame.mean()),
    "spread": lambda frame: float(frame.std()),
    "sharpness": lambda frame: float(cv2.Laplacian(_grey(frame), cv2.CV_64F).var()),
    "redness, mean ratio": _ratio_redness,
    "redness, mean log ratio": lambda frame: float(_log_redness(frame).mean()),
    "redness, 95th percentile": lambda frame: float(np.percentile(_log_redness(frame), 95)),
    "dark share": lambda frame: float((_grey(frame) < 40).mean()),
    "local variance": _local_variance,
}


@pytest.fixture(scope="module")
def frames() -> tuple[list[np.ndarray], list[int]]:
    labels = [0] * FRAMES_PER_CLASS + [1] * FRAMES_PER_CLASS
    return [draw(seed, bool(label))[0] for seed, label in enumerate(labels)], labels


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("bleeding", [False, True])
def test_shape_and_type(size: int, bleeding: bool) -> None:
    frame, mask = draw(3, bleeding, size)
    assert frame.shape == (size, size, 3)
    assert frame.dtype == np.uint8
    assert mask.shape == (size, size)
    assert mask.dtype == bool


@pytest.mark.parametrize("bleeding", [False, True])
def test_same_seed_same_frame(bleeding: bool) -> None:
    first, second = draw(11, bleeding), draw(11, bleeding)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_other_seed_other_frame() -> None:
    assert len({draw(seed, False)[0].tobytes() for seed in range(20)}) == 20
    assert len({draw(seed, True)[1].tobytes() for seed in range(20)}) == 20


def test_healthy_mask_is_empty() -> None:
    assert not any(draw(seed, False)[1].any() for seed in range(20))


@pytest.mark.parametrize("size", [64, 96])
def test_bleed_covers_a_small_part_of_the_frame(size: int) -> None:
    shares = [draw(seed, True, size)[1].mean() for seed in range(100)]
    assert min(shares) > 0.015
    assert max(shares) < 0.12
    assert max(shares) > 2 * min(shares)


def test_bleed_lies_inside_the_lit_field() -> None:
    for seed in range(50):
        mask = draw(seed, True)[1]
        assert not np.any(mask[(draw(seed, False)[0] < 3).all(axis=2)])


def test_blood_changes_the_healthy_frame_under_the_mask_and_nowhere_far_from_it() -> None:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31))
    for seed in range(20):
        healthy, _ = draw(seed, False)
        bleeding, mask = draw(seed, True)
        far = cv2.dilate(mask.astype(np.uint8), kernel) == 0
        # A second pool too thin to count as masked may lie farther off, hence a share and not every pixel.
        assert (healthy[far] == bleeding[far]).all(axis=-1).mean() > 0.98
        assert (healthy[mask] != bleeding[mask]).any(axis=-1).mean() > 0.98


@pytest.mark.parametrize("name", sorted(ONE_NUMBER))
def test_no_one_number_tells_the_classes_apart(name: str, frames: tuple[list[np.ndarray], list[int]]) -> None:
    pictures, labels = frames
    auroc = roc_auc_score(labels, [ONE_NUMBER[name](picture) for picture in pictures])
    assert max(auroc, 1 - auroc) < 0.8
