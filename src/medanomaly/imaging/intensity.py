"""Intensity rules: map stored values to [0, 1], each rule by its name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from medanomaly.imaging.banded_resize import Rows, whole
from medanomaly.imaging.decoded_image import DecodedImage, three_channels
from medanomaly.imaging.limits import ImageError
from medanomaly.imaging.percentiles import extremes, histogram, percentiles
from medanomaly.spec import Spec

#: Luma of RGB (ITU-R BT.601), as OpenCV's grey.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

#: Added to each channel before the logarithm: ten grey levels of 255, below which a JPEG's colour is noise.
_CHROMA_OFFSET = 0.04
#: The span of log(R/G), log(G/B) and log(R/B) that fills [0, 1]; within ±1.5 lie more than 99 % of mucosa and blood.
_CHROMA_SPAN = np.array([3.0, 3.0, 6.0], dtype=np.float32)

_FORMS = {
    "dtype": "dtype",
    "minmax": "minmax",
    "percentile": "percentile:low,high with 0 <= low < high <= 100",
    "window": "window:centre,width with width > 0",
    "equalise": "equalise",
    "chroma": "chroma",
    "haemoglobin": "haemoglobin",
    "contrast": "contrast:window with window odd, from 3 to 255",
}
#: Rules that need colour.
OF_COLOUR = ("chroma", "haemoglobin")
#: Rules that follow once the image has its size, over what ``dtype`` gives.
_AFTERWARDS = (*OF_COLOUR, "contrast")
#: Side of the window of ``contrast`` if none is given, in pixels of what the model sees.
_CONTRAST_WINDOW = 7
#: Added to the variance before the logarithm: that of one part in a hundred, two to three grey levels of 255.
_CONTRAST_OFFSET = 1e-4


def _percentiles(spec: Spec) -> tuple[float, float]:
    low, high = spec.numbers(2) if spec.argument else (1.0, 99.0)
    if not 0 <= low < high <= 100:
        raise ValueError
    return low, high


def _window(spec: Spec) -> tuple[float, float]:
    centre, width = spec.numbers(2)
    if not np.isfinite([centre, width]).all() or width <= 0:
        raise ValueError
    return centre, width


def _square(spec: Spec) -> tuple[float, float]:
    side = _CONTRAST_WINDOW if spec.argument is None else spec.integer()
    if not 3 <= side <= 255 or side % 2 == 0:
        raise ValueError
    return float(side), float(side)


#: Rules that take numbers, and how they are read and checked.
_NUMBERS = {"percentile": _percentiles, "window": _window, "contrast": _square}


@dataclass(frozen=True)
class Intensity:
    """A parsed rule.

    Args:
        name: ``dtype``, ``minmax``, ``percentile``, ``window``, ``equalise``, ``chroma``, ``haemoglobin`` or
            ``contrast``.
        numbers: Low and high percentile, centre and width, or height and width of a window; (0, 100) for ``minmax``.
    """

    name: str
    numbers: tuple[float, float] = (0.0, 100.0)

    @classmethod
    def parse(cls, text: str) -> Intensity:
        """Read a rule as written in a configuration.

        Raises:
            ValueError: if it is no rule, naming how rules are written.
        """
        spec = Spec.parse(text)
        if spec.name not in _FORMS:
            raise ValueError(f"intensity must be one of {', '.join(_FORMS)}, not '{text}'")
        if spec.name not in _NUMBERS:
            if spec.argument is not None:
                raise ValueError(f"intensity '{spec.name}' takes no parameter, got '{text}'")
            return cls(spec.name)
        try:
            return cls(spec.name, _NUMBERS[spec.name](spec))
        except ValueError:
            raise ValueError(f"intensity {spec.name} is written {_FORMS[spec.name]}, not '{text}'") from None

    @property
    def voi(self) -> bool:
        """Whether the window or VOI LUT of a DICOM file comes first: a rule of one's own takes its place."""
        return self.name in ("dtype", *_AFTERWARDS)

    def after(self, image: np.ndarray) -> np.ndarray:
        """What follows once an image has its size: (H, W) or (H, W, 3) float32 in [0, 1] to (H, W, 3) in [0, 1]."""
        if self.name in OF_COLOUR:
            return coloured(image, self.name)
        return three_channels(local_contrast(image, int(self.numbers[0])) if self.name == "contrast" else image)

    def scale(self, picture: DecodedImage, inside: np.ndarray | None, name: str | Path) -> Rows:
        """Bring a picture to [0, 1]; by its depth where :meth:`after` follows.

        What the rule takes from the whole picture is found here, once; rows are made when they are asked for.

        Args:
            picture: (H, W) or (H, W, 3).
            inside: (H, W) of bool, the field of view that minima, percentiles and histograms are taken over; None
                for all.
            name: What errors call the image.

        Returns:
            A slice of rows to these rows: float32 in [0, 1], of the picture's shape; (n, W) for ``equalise``.

        Raises:
            ImageError: if floats of no declared depth leave [0, 1] under ``dtype`` or a rule over what it gives.
        """
        pixels = picture.pixels
        if self.name in ("dtype", *_AFTERWARDS):
            return _by_depth(picture, name)
        if self.name == "window":
            return partial(_in_window, picture, self.numbers)
        if self.name == "equalise":
            return equalised(partial(_upright, picture), pixels.shape, inside)
        seen = _upright(picture, slice(None))
        low, high = percentiles(seen if inside is None else seen[inside], self.numbers, spent=seen is not pixels)
        # A constant image becomes black.
        span = np.float32(max(high - low, 1e-12))
        return partial(_between, picture, np.float32(low), span)


def _upright(picture: DecodedImage, rows: slice) -> np.ndarray:
    """Stored values, turned over where low ones are bright."""
    pixels = picture.pixels if rows == slice(None) else picture.pixels[rows]
    if not picture.inverted:
        return pixels
    turned = pixels.astype(np.float32)
    return np.negative(turned, out=turned)


def _by_depth(picture: DecodedImage, name: str | Path) -> Rows:
    if picture.depth is not None:
        return picture.unit
    pixels = picture.pixels
    if pixels.min() < 0 or pixels.max() > 1:
        raise ImageError(
            f"{name}: float pixels from {pixels.min():g} to {pixels.max():g} leave [0, 1]. "
            "Choose intensity minmax, percentile or window."
        )
    return partial(_as_they_are, picture)


def _as_they_are(picture: DecodedImage, rows: slice) -> np.ndarray:
    unit = picture.pixels[rows].astype(np.float32)
    return 1.0 - unit if picture.inverted else unit


def _in_window(picture: DecodedImage, numbers: tuple[float, float], rows: slice) -> np.ndarray:
    shown = window(picture.pixels[rows], *numbers, "LINEAR_EXACT")
    return 1.0 - shown if picture.inverted else shown


def _between(picture: DecodedImage, low: np.float32, span: np.float32, rows: slice) -> np.ndarray:
    return np.clip((_upright(picture, rows).astype(np.float32) - low) / span, 0.0, 1.0)


def window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Show the values of a window as [0, 1] (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: Any shape; modality values, as HU.
        centre: Value that becomes 0.5 (for LINEAR half a unit above it).
        width: Width of the window, above 0; at least 1 for LINEAR.
        function: ``LINEAR_EXACT``: (v - centre) / width + 0.5. ``LINEAR``, the default of DICOM, written for integers:
            (v - (centre - 0.5)) / (width - 1) + 0.5. ``SIGMOID``: 1 / (1 + exp(-4 (v - centre) / width)).

    Returns:
        float32, clipped to [0, 1].

    Raises:
        ValueError: for another function or a width out of its range.
    """
    least = 1.0 if function == "LINEAR" else 0.0
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError(f"has the unknown VOI LUT function '{function}'")
    if not np.isfinite([centre, width]).all() or width < least or width == 0:
        raise ValueError(f"has a window of centre {centre:g} and width {width:g}, which its function {function} lacks")
    shown = values.astype(np.float32)
    if function == "SIGMOID":
        shown = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (shown - np.float32(centre)) / np.float32(width), -60.0, 60.0)))
    elif function == "LINEAR_EXACT":
        shown = (shown - np.float32(centre)) / np.float32(width) + np.float32(0.5)
    elif width == 1:
        shown = (shown > centre - 0.5).astype(np.float32)
    else:
        shown = (shown - np.float32(centre - 0.5)) / np.float32(width - 1) + np.float32(0.5)
    return np.clip(shown, 0.0, 1.0)


def equalise(pixels: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Histogram equalisation of the luma: each grey becomes the share of pixels that are darker.

    Exact for up to 65,536 grey levels; floats are sorted into as many between their minimum and maximum.

    Args:
        pixels: (H, W) or (H, W, 3), any numeric type.
        inside: (H, W) of bool, the pixels that are counted; None for all.

    Returns:
        (H, W) float32: 0 for the darkest counted grey, 1 for the brightest; a constant image becomes 0.
    """
    rows = equalised(lambda part: pixels[part], pixels.shape, inside)
    return whole(rows, (pixels.shape[0], pixels.shape[1]), 1)


def equalised(pixels: Rows, shape: tuple[int, ...], inside: np.ndarray | None = None) -> Rows:
    """:func:`equalise` of a picture of ``shape``, whose rows are made when they are asked for."""

    def luma(rows: slice) -> np.ndarray:
        return _luma(pixels(rows))

    def levels(rows: slice) -> np.ndarray:
        greys = luma(rows)
        if greys.dtype != np.float32:
            return greys
        return np.rint((greys - low) * (65535 / max(high - low, 1e-12))).astype(np.uint16)

    low, high = extremes(luma, shape) if luma(slice(0, 1)).dtype == np.float32 else (0.0, 1.0)
    counts = histogram(levels, shape, inside)
    share = np.cumsum(counts) - counts[np.flatnonzero(counts)[0]]
    table = (np.clip(share, 0, None) / max(int(share[-1]), 1)).astype(np.float32)
    return lambda rows: table[levels(rows)]


def _luma(pixels: np.ndarray) -> np.ndarray:
    """Grey of uint8 and uint16 as they are, and of all else in float32."""
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.float32)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def coloured(image: np.ndarray, rule: str) -> np.ndarray:
    """Colour without illumination: log ratios of the channels, pixel by pixel.

    With offset e = 0.04, the three channels of ``chroma`` are 0.5 + log((R + e) / (G + e)) / 3,
    0.5 + log((G + e) / (B + e)) / 3 and 0.5 + log((R + e) / (B + e)) / 6, clipped. ``haemoglobin`` is the first, in all
    three channels: but for scale and offset the index of haemoglobin of endoscopy (IHb; Yao, Kato and Fujisaki,
    Endoscopy 2005;37:479), as blood takes up green light and hardly any red. Light that scales a pixel cancels but for
    the offset, which draws dark pixels towards 0.5, where grey lies.

    Args:
        image: (H, W) or (H, W, 3) float32 in [0, 1], RGB as stored.
        rule: ``chroma`` or ``haemoglobin``.

    Returns:
        (H, W, 3) float32 in [0, 1].
    """
    logs = np.log(three_channels(image) + np.float32(_CHROMA_OFFSET))
    red, green, blue = logs[..., 0], logs[..., 1], logs[..., 2]
    if rule == "haemoglobin":
        return three_channels(np.clip((red - green) / _CHROMA_SPAN[0] + np.float32(0.5), 0.0, 1.0))
    ratios = np.stack([red - green, green - blue, red - blue], axis=-1)
    return np.clip(ratios / _CHROMA_SPAN + np.float32(0.5), 0.0, 1.0)


def local_contrast(image: np.ndarray, side: int) -> np.ndarray:
    """How much the greys around each pixel differ: the logarithm of their variance, without exposure.

    With v the variance of the luma in a square window (mirrored at the border) and e = 1e-4, it is
    log((v + e) / e) / log((1/4 + e) / e): 0 where all is one grey, 1 where half is black and half white. A brighter
    image has the same, and one of other contrast the same but for a constant, as long as v is above e.

    Args:
        image: (H, W) or (H, W, 3) float32 in [0, 1].
        side: Of the window, in pixels; odd.

    Returns:
        (H, W) float32 in [0, 1].
    """
    grey = (image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).astype(np.float64)
    mean = cv2.blur(grey, (side, side))
    variance = np.maximum(cv2.blur(grey * grey, (side, side)) - mean * mean, 0.0)
    top = np.log1p(0.25 / _CONTRAST_OFFSET)
    return np.clip(np.log1p(variance / _CONTRAST_OFFSET) / top, 0.0, 1.0).astype(np.float32)
