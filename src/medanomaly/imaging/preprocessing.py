"""``Preprocessing``: how an image is read; one record, made once, used in training and at the edge alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medanomaly.imaging.area_average import shrink
from medanomaly.imaging.arrays import mask_of, picture_of
from medanomaly.imaging.banded_resize import resize, resize_marks
from medanomaly.imaging.decode import decode_mask, read
from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.field_of_view import CropBox, FieldOfView
from medanomaly.imaging.intensity import OF_COLOUR, Intensity
from medanomaly.imaging.limits import ImageError
from medanomaly.imaging.placement import Placement

COLOURS = ("rgb", "grey", "grey-only")

#: Mean difference of the channels of a grey picture, as a share of white: what JPEG's rounding leaves.
_GREY_NOISE = 2 / 255


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a file to what a model sees: scale, crop, resize. The same record travels in the bundle's card.

    Args:
        size: Height and width in pixels of what the model sees.
        intensity: How stored values become [0, 1]. ``dtype``: by the declared depth (0 to 255 or 65535; floats must
            lie in [0, 1] already; a DICOM by its own window or VOI LUT, or else the range of its stored bits).
            ``minmax``: each image from its own minimum to its own maximum. ``percentile:low,high`` (default 1,99):
            between two percentiles, clipped beyond. ``window:centre,width``: a window in stored values, HU for a CT.
            ``equalise``: the histogram of the luma made flat; gives grey. ``chroma``: log ratios of the colour
            channels, free of illumination; 0.5 for grey. ``haemoglobin``: log(R/G) of them alone, the redness of blood.
            ``contrast:window`` (default 7): log variance of the greys around each pixel, free of exposure.
        field_of_view: ``none``; ``crop:N``: the centred square of N pixels (N > 1) or of that share of the shorter
            side (N ≤ 1); ``circle``: an endoscope's bright view; ``breast``: a mammogram's largest bright part. Both
            are cropped to their box, and black outside.
        colour: ``rgb``; ``grey``: the luma of the three channels, repeated over them; ``grey-only``: the same, and an
            image in colour is refused.
    """

    size: tuple[int, int]
    intensity: str = "dtype"
    field_of_view: str = "none"
    colour: str = "rgb"

    def __post_init__(self) -> None:
        """Check every field, so that a wrong option fails before any image is read."""
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be two positive numbers (height, width), not {self.size}")
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        if self.colour not in COLOURS:
            raise ValueError(f"colour must be one of {', '.join(COLOURS)}, not '{self.colour}'")
        if (rule := self._intensity.name) in OF_COLOUR and self.colour != "rgb":
            raise ValueError(f"intensity {rule} needs colour rgb: of {self.colour} it leaves nothing")
        FieldOfView.parse(self.field_of_view)

    @property
    def _intensity(self) -> Intensity:
        return Intensity.parse(self.intensity)

    @property
    def _view(self) -> FieldOfView:
        return FieldOfView.parse(self.field_of_view)

    def load(self, path: str | Path) -> np.ndarray:
        """Read a file as the model sees it; ``path`` may address a frame (``scan.dcm#frame=3``).

        A JPEG much larger than needed is decoded at a half, a quarter or an eighth of its size, unless the field of
        view has to be found in it.

        Returns:
            Array (H, W, 3), float32 in [0, 1].

        Raises:
            ImageError: if the file cannot be used; names the file and the remedy.
        """
        return self.load_pair(path)[0]

    def _read(self, path: str | Path) -> DecodedImage:
        picture = read(path, self._reduction, self._intensity.voi)
        if picture.no_image:
            raise ImageError(f"{path}: {picture.no_image}")
        return picture

    def load_placed(self, path: str | Path) -> tuple[np.ndarray, Placement]:
        """:meth:`load`, and where in the file's picture the result lies.

        Raises:
            ImageError: as for :meth:`load`.
        """
        picture = self._read(path)
        view = self._view.find(picture, path)
        return self._prepared(picture, view, path), Placement.of(view, picture.shape, self.size)

    def load_pair(self, path: str | Path, mask_path: str | Path | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Read an image and its mask through one field of view.

        Args:
            path: The image, as for :meth:`load`.
            mask_path: Its mask at the full size of the upright image; None or empty for none.

        Returns:
            The image (H, W, 3), float32 in [0, 1], and its mask (H, W) of bool or None.

        Raises:
            ImageError: as for :meth:`load`, or if the mask has another size than its image.
        """
        picture = self._read(path)
        view = self._view.find(picture, path)
        image = self._prepared(picture, view, path)
        if not mask_path:
            return image, None
        return image, self.prepare_mask(decode_mask(mask_path), mask_path, picture.shape, view)

    def prepare(self, image: np.ndarray, name: str | Path = "image") -> np.ndarray:
        """Scale, crop and resize a decoded image to (h, w, 3) float32 in [0, 1], as :meth:`load` does a file.

        Averaging by area is used to shrink and linear interpolation to enlarge.

        Args:
            image: (H, W, 3) RGB, or (H, W) or (H, W, 1) grey: uint8 from 0 to 255, uint16 from 0 to 65535, or floats of
                any width, from 0 to 1 under ``dtype`` and the rules over it. Other integers have no declared white:
                ``minmax``, ``percentile``, ``window`` and ``equalise`` take them as they are.
            name: What errors call the image.

        Raises:
            ImageError: for another type or shape, with what to pass; for NaN, infinity or no pixels; if a float image
                leaves [0, 1] under ``dtype``, or the field of view does not fit.
        """
        return self.prepare_pair(image, None, name)[0]

    def prepare_placed(self, image: np.ndarray, name: str | Path = "image") -> tuple[np.ndarray, Placement]:
        """:meth:`prepare`, and where in the image the result lies."""
        picture = self._picture(image, name)
        view = self._view.find(picture, name)
        return self._prepared(picture, view, name), Placement.of(view, picture.shape, self.size)

    def prepare_pair(
        self, image: np.ndarray, mask: np.ndarray | None, name: str | Path = "image", mask_name: str | Path = "mask"
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """:meth:`prepare` an image and its mask (H, W) of bool through one field of view."""
        picture = self._picture(image, name)
        view = self._view.find(picture, name)
        prepared = self._prepared(picture, view, name)
        return prepared, None if mask is None else self.prepare_mask(mask, mask_name, picture.shape, view)

    def native(self, image: np.ndarray | DecodedImage, name: str | Path = "image", scaled: bool = False) -> np.ndarray:
        """The field of view of an image at its own size and in its own colours, for measurements on the data.

        Args:
            image: As for :meth:`prepare`; or a picture, read as :attr:`voi` says.
            name: What errors call the image.
            scaled: Whether the intensity rule scales it, as far as it is not one of those that follow the resizing.

        Returns:
            Array (h, w, 3), float32 in [0, 1] by the declared depth; values without one that leave [0, 1] by the
            intensity rule.

        Raises:
            ImageError: if the field of view does not fit, or cannot be found.
        """
        picture = image if isinstance(image, DecodedImage) else self._picture(image, name)
        view = self._view.find(picture, name)
        pixels = picture.pixels
        leaves = picture.depth is None and (pixels.min() < 0 or pixels.max() > 1)
        rule = self.intensity if leaves or (scaled and not self.voi) else "dtype"
        whole = replace(self, size=(view.height, view.width), intensity=rule, colour="rgb")
        return whole._prepared(picture, view, name)

    @property
    def voi(self) -> bool:
        """Whether the rule starts from what a DICOM file's own window shows; a rule of one's own takes its place."""
        return self._intensity.voi

    def load_mask(
        self, path: str | Path, image_shape: tuple[int, ...] | None = None, view: CropBox | None = None
    ) -> np.ndarray:
        """Read a mask through the same crop and size as its image: bool (H, W), marked where at least half is.

        Args:
            path: The mask's file; every pixel above zero is marked.
            image_shape: Height and width of the image it belongs to, for the check.
            view: As for :meth:`prepare_mask`.

        Raises:
            ImageError: if it cannot be read or has another size than its image.
        """
        return self.prepare_mask(decode_mask(path), path, image_shape, view)

    def prepare_mask(
        self,
        mask: np.ndarray,
        name: str | Path = "mask",
        image_shape: tuple[int, ...] | None = None,
        view: CropBox | None = None,
    ) -> np.ndarray:
        """Crop and resize a mask (H, W) of bool as :meth:`load_mask` does.

        Args:
            mask: The mask in full; integers are marked where they are not 0.
            name: What errors call it.
            image_shape: Height and width of its image, for the check.
            view: Where its image is looked at. ``circle`` and ``breast`` need it; :meth:`load_pair` and
                :meth:`prepare_pair` give it.

        Raises:
            ImageError: if its size is another than its image's, or it is no array (H, W) of bool.
            ValueError: if the view is needed and missing.
        """
        mask = mask_of(mask, name)
        if image_shape is not None and mask.shape[:2] != tuple(image_shape[:2]):
            turned = mask.shape[:2] == tuple(image_shape[1::-1])
            raise ImageError(
                f"{name}: the mask is {mask.shape[1]}×{mask.shape[0]}, its image {image_shape[1]}×{image_shape[0]}"
                f"{' once turned upright' if turned else ''}. Export the mask at the image's size."
            )
        if view is None:
            if self._view.sees:
                raise ValueError(
                    f"field_of_view {self.field_of_view} is found in the image: read both through load_pair"
                )
            view = self._view.box(mask.shape, name)
        cut = view.cut(mask)
        if view.inside is not None:
            cut = cut & view.inside
        return resize_marks(cut, self.size)

    def _picture(self, image: np.ndarray, name: str | Path) -> DecodedImage:
        return picture_of(image, name, by_value=not self._intensity.voi)

    def _reduction(self, shape: tuple[int, int]) -> int:
        """The largest factor by which an image of ``shape`` may shrink and its crop still cover the size asked for."""
        view = self._view
        if view.sees:
            return 1
        side = view.box(shape, "image")
        fits = (k for k in (8, 4, 2) if side.height >= k * self.size[0] and side.width >= k * self.size[1])
        return next(fits, 1)

    def _prepared(self, picture: DecodedImage, view: CropBox, name: str | Path) -> np.ndarray:
        rule = self._intensity
        factor = round(picture.shape[0] / picture.pixels.shape[0])
        cut, edges = (view.cut(picture.pixels), None) if factor == 1 else view.reduced(picture.pixels, factor)
        seen = DecodedImage(cut, picture.depth, picture.shape, picture.inverted)
        if self.colour == "grey-only":
            _check_grey(seen, name)
        scale = rule.scale(seen, view.inside, name)

        def rows(part: slice) -> np.ndarray:
            scaled = scale(part)
            if self.colour != "rgb" and scaled.ndim == 3:
                scaled = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
            if view.inside is not None:
                within = view.inside[part]
                scaled = np.where(within if scaled.ndim == 2 else within[:, :, None], scaled, np.float32(0))
            return scaled

        shape = (cut.shape[0], cut.shape[1])
        if edges is None:
            resized = resize(rows, shape, self.size, cut.size // (shape[0] * shape[1]))
            np.clip(resized, 0.0, 1.0, out=resized)
        else:
            resized = np.clip(shrink(rows(slice(None)), edges, self.size), 0.0, 1.0)
        # The ratio of averages, not the average of ratios: a dark pixel has little colour to say.
        return rule.after(resized)

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Preprocessing:
        """A record written by :meth:`to_dict`."""
        return cls(**{**record, "size": tuple(record["size"])})


def _check_grey(picture: DecodedImage, name: str | Path) -> None:
    if picture.pixels.ndim == 2:
        return
    black, white = picture.depth or (0.0, 1.0)
    apart = max(_apart(picture.pixels, 0, 1), _apart(picture.pixels, 1, 2)) / (white - black)
    if apart > _GREY_NOISE:
        raise ImageError(
            f"{name}: is a colour image (its channels differ by {apart:.1%} of white on average) where colour "
            "grey-only is declared. Leave it out, or choose colour grey to take its luma."
        )


def _apart(pixels: np.ndarray, one: int, other: int) -> float:
    """Mean difference of two channels, which are made floats one at a time."""
    difference = pixels[..., one].astype(np.float32, order="C")
    np.subtract(difference, pixels[..., other], out=difference, dtype=np.float32)
    return float(np.abs(difference, out=difference).mean())
