"""Take a region out of an image: fill it from its surroundings, and find a place of equal shape elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.signal import fftconvolve
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

#: A mask is widened by this share of the shorter side: the rim of a lesion would bleed into what fills it.
MARGIN = 0.02
#: Values below this, in a part that touches the image's edge, show no patient.
_DARK = 10 / 255


def widened(mask: np.ndarray) -> np.ndarray:
    """The mask (H, W) of bool with a margin of 2 % of the shorter side, at least one pixel."""
    reach = max(1, round(MARGIN * min(mask.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def view(image: np.ndarray) -> np.ndarray:
    """Where an image (H, W, 3) in [0, 1] shows the patient: all but black parts that touch its edge; bool (H, W).

    Of an image that is black throughout, all of it.
    """
    dark = (image.max(axis=2) < _DARK).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, edge[edge > 0])
    return np.ones_like(outside) if outside.all() else ~outside


def laplace_fill(image: np.ndarray, mask: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Fill a region with the smoothest surface that meets its surroundings (Laplace's equation, channel by channel).

    Args:
        image: (H, W, C) float.
        mask: (H, W) bool, what is filled.
        inside: (H, W) bool, the field of view: what lies outside is neither filled nor a source. All of it by default.

    Returns:
        The image with the region filled; float32, within the range of the pixels around the region. Parts of the
        region that nothing known adjoins become the mean of what is known.
    """
    inside = np.ones(mask.shape, dtype=bool) if inside is None else inside
    hole, known = mask & inside, ~mask & inside
    filled = np.array(image, dtype=np.float32)
    if not hole.any() or not known.any():
        return filled
    count = int(hole.sum())
    number = np.full(mask.shape, -1)
    number[hole] = np.arange(count)
    degree = np.zeros(count)
    right = np.zeros((count, image.shape[2]))
    rows, columns = [], []
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        # What lies beyond the frame or the field of view pulls nowhere (Neumann's condition).
        beside, beside_known = _shifted(number, axis, step, -1), _shifted(known, axis, step, False)
        link = hole & (beside >= 0)
        rows.append(number[link])
        columns.append(beside[link])
        degree += np.bincount(number[link], minlength=count)
        source = hole & beside_known
        values = np.stack([_shifted(filled[..., c], axis, step, 0.0) for c in range(image.shape[2])], axis=-1)
        right[number[source]] += values[source]
        degree += np.bincount(number[source], minlength=count)
    # A trace of the mean keeps parts without any source solvable, and moves the others by nothing that can be seen.
    weak, mean = 1e-6, filled[known].mean(axis=0)
    row, column = np.concatenate([*rows, np.arange(count)]), np.concatenate([*columns, np.arange(count)])
    weight = np.concatenate([np.full(len(row) - count, -1.0), degree + weak])
    matrix = coo_matrix((weight, (row, column)), shape=(count, count)).tocsc()
    filled[hole] = splu(matrix).solve(right + weak * mean)
    return filled


def _shifted(array: np.ndarray, axis: int, step: int, beyond: object) -> np.ndarray:
    """Each pixel's neighbour ``step`` along ``axis``; ``beyond`` where there is none."""
    moved = np.roll(array, -step, axis=axis)
    edge: list[int | slice] = [slice(None)] * array.ndim
    edge[axis] = -1 if step > 0 else 0
    moved[tuple(edge)] = beyond
    return moved


def place(shape: np.ndarray, allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A random place for a shape, turned by quarters and mirrored at random.

    Args:
        shape: (H, W) bool, marks something.
        allowed: (H, W) bool, where all of it has to lie.
        rng: Draws the turn (the first of a random order that fits anywhere) and the place, all that fit alike.

    Returns:
        Row and column there of each pixel of the shape, in the order of ``np.argwhere(shape)``: int (n, 2). None if it
        fits nowhere or marks nothing.
    """
    pixels = np.argwhere(shape)
    if not len(pixels):
        return None
    (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0) + 1
    number = np.full((bottom - top, right - left), -1)
    number[tuple((pixels - (top, left)).T)] = np.arange(len(pixels))
    for turn in rng.permutation(8):
        part = np.rot90(number if turn < 4 else number[:, ::-1], turn % 4)
        if part.shape[0] > shape.shape[0] or part.shape[1] > shape.shape[1]:
            continue
        # Pixels of the part that would be forbidden, for every place of its box within the frame.
        forbidden = fftconvolve((~allowed).astype(float), (part[::-1, ::-1] >= 0).astype(float), mode="valid")
        places = np.argwhere(forbidden < 0.5)
        if len(places):
            there = np.argwhere(part >= 0)
            found = np.empty_like(pixels)
            found[part[part >= 0]] = there + places[rng.integers(len(places))]
            return found
    return None


def marked(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rows and columns (n, 2) as a mask (H, W) of bool."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(pixels.T)] = True
    return mask


def poisson_paste(image: np.ndarray, region: np.ndarray, donor: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Fill a region smoothly from its surroundings and lay the texture of another place on it.

    A smooth surface alone would itself be strange to a model that looks at texture. The texture is what a place has
    beyond the smooth surface that would fill it: so light and colour stay those of the region's surroundings (Pérez,
    Gangnet and Blake, Poisson image editing, 2003).

    Args:
        image: (H, W, C) float in [0, 1].
        region: (n, 2) rows and columns of what is filled.
        donor: (n, 2) rows and columns of the place that each pixel's texture comes from.
        inside: (H, W) bool, the field of view.

    Returns:
        The image with the region filled, float32 in [0, 1].
    """
    shape = (image.shape[0], image.shape[1])
    there, here = tuple(donor.T), tuple(region.T)
    texture = image[there] - laplace_fill(image, marked(donor, shape), inside)[there]
    filled = laplace_fill(image, marked(region, shape), inside)
    filled[here] = np.clip(filled[here] + texture, 0, 1)
    return filled
