"""One image with everything that the viewer shows of it; each piece is made once and kept while in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.app.session.background_work import Shelf, budget
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.memory_weight import weight
from medanomaly.app.session.worklist import Item
from medanomaly.app.viewer import window_level
from medanomaly.app.viewer.overlays import Layers
from medanomaly.app.viewer.picture_encoding import Encoded, encoded, exact, jpeg, raw_values
from medanomaly.edge import Detector, Frame, Result
from medanomaly.imaging import ImageError, overlay
from medanomaly.imaging.decoded_image import DecodedImage

#: A frame that is sought again may be another one where a video's index is wrong; its score tells.
_SAME = 1e-3
#: Bytes of decoded images and of finished pieces that are kept for all pages together.
_DECODED, _MADE = 128 * 2**20, 96 * 2**20
#: Longer side of the heat map that is sent: maps are smaller than that.
_HEAT = 512


@dataclass(frozen=True)
class ScoredView:
    """What the viewer shows of one image.

    Args:
        result: Of the detector.
        layers: Heat map and outline.
        again: Whether the score is the list's.
    """

    result: Result
    layers: Layers
    again: bool

    @classmethod
    def at(cls, detector: Detector, item: Item, pixels: np.ndarray | None = None) -> ScoredView:
        """Score an image once more: lists keep numbers, and no heat maps.

        Args:
            detector: Of the bundle.
            item: The image.
            pixels: Of a video's frame, (H, W, 3) uint8; None for what the detector reads itself.

        Raises:
            ImageError: if it cannot be read any more.
        """
        if item.frame is None:
            result = detector(item.address)
        else:
            pixels = window_level.load(item).pixels if pixels is None else pixels
            result = detector(Frame(item.address, pixels, item.time))
        known = item.raw_score
        again = known is None or abs(result.raw_score - known) <= _SAME * max(abs(known), 1e-6)
        return cls(result, Layers.of(result, window_level.LARGEST), again)


class ScoredViews:
    """Pictures and results of the images that pages look at; one for the process."""

    def __init__(self) -> None:
        self._decoded, self._made = Shelf(_DECODED), Shelf(_MADE)
        # Who asks for an image that another thread is at work on waits for it: nothing is decoded twice.
        self._locks = [threading.RLock() for _ in range(64)]

    def forget(self, folder: str) -> None:
        """Let go of what was made of a session's images."""
        for shelf in (self._decoded, self._made):
            shelf.forget(lambda key: str(key[0]).startswith(folder))

    def decoded(self, item: Item, voi: bool = True, keep: bool = True) -> DecodedImage:
        """An image in full, decoded once; ``keep`` it for the next who asks.

        Raises:
            ImageError: if it cannot be read.
        """
        voi = voi or item.file.kind.name != "DICOM"  # no other kind has a window of its own
        key = (item.address, voi)
        found = self._decoded.get(key)
        if found is None:
            found = window_level.load(item, voi)
            if keep:
                self._decoded.put(key, found, found.pixels.nbytes)
        return found

    def view(self, loaded: LoadedBundle, item: Item) -> ScoredView:
        """The model's view of an image.

        Raises:
            ImageError: if it cannot be read.
        """

        def make() -> tuple[ScoredView, int]:
            pixels = None if item.frame is None else self.decoded(item).pixels
            found = ScoredView.at(loaded.detector, item, pixels)
            heat = found.layers.heat
            if heat is not None and max(heat.shape) > _HEAT:
                # The outline keeps the picture's size; of the map nothing is lost.
                small = Layers(
                    found.layers.shape, window_level.shrunk(heat, _HEAT), found.layers.path, found.layers.marked
                )
                found = ScoredView(found.result, small, found.again)
            return found, found.result.image.nbytes * 2 + 2**20

        return self._once((item.address, "view", loaded.hash), item, make)

    def values(self, item: Item) -> window_level.Values | None:
        """What a window is put over; None for images without more than 8 bits.

        Raises:
            ImageError: if it cannot be read.
        """

        def make() -> tuple[tuple[window_level.Values | None], int]:
            if item.file.kind.name not in window_level.DEEP or not window_level.deep(
                raw := self.decoded(item, voi=False)
            ):
                return (None,), 64
            return (window_level.values(raw, window_level.display(self.decoded(item))),), 64

        return self._once((item.address, "values"), item, make)[0]

    def layer(self, loaded: LoadedBundle, item: Item, layer: str, size: int) -> Encoded:
        """One layer of an image, as it is sent; see :mod:`medanomaly.app.endpoints.picture_endpoint`.

        Raises:
            ImageError: if it cannot be read.
            KeyError: if there is no such layer of it.
        """
        make: Callable[[], Encoded] = {
            "image": lambda: self._image(item, size),
            "values": lambda: self._values(item, size),
            "thumbnail": lambda: self._thumbnail(item),
            "heat": lambda: self._heat(loaded, item),
            "input": lambda: exact(as_bytes(self.view(loaded, item).result.image)),
            "reconstruction": lambda: self._reconstruction(loaded, item),
            "overlay": lambda: self._overlay(loaded, item, size),
        }[layer]

        def made() -> tuple[Encoded, int]:
            found = make()
            return found, len(found.content)

        return self._once((item.address, layer, size, loaded.hash), item, made)

    def _once(self, key: tuple[Hashable, ...], item: Item, make: Callable[[], tuple[Any, int]]) -> Any:
        found = self._made.get(key)
        if found is None:
            with self._locks[hash(item.address) % len(self._locks)]:
                found = self._made.get(key)
                if found is None:
                    with budget.hold(weight(item.address) if item.frame is None else 0):
                        try:
                            found, size = make()
                        except ImageError as error:  # kept too: it is not found out again at each request
                            found, size = error, 1024
                    self._made.put(key, found, size)
        if isinstance(found, ImageError):
            raise found
        return found

    def _image(self, item: Item, size: int) -> Encoded:
        pixels = window_level.small(item, size) if size else None
        if pixels is None:
            source = self.decoded(item)
            # Of 8 bits the average of what is shown is what the average shows; a quarter of the work where it is large.
            plain = source.pixels.dtype == np.uint8
            pixels = window_level.display(window_level.reduced(source, size) if size and plain else source)
        return encoded(window_level.shrunk(pixels, size) if size else pixels)

    def _values(self, item: Item, size: int) -> Encoded:
        known = self.values(item)
        if known is None:
            raise KeyError("values")
        source = self.decoded(item, voi=False)
        return raw_values(window_level.reduced(source, size) if size else source, known.low, known.high)

    def _thumbnail(self, item: Item) -> Encoded:
        pixels = window_level.small(item, window_level.THUMBNAIL)
        if pixels is None:
            source = self.decoded(item, keep=False)
            known = self.values(item) if window_level.deep(source) else None
            pixels = window_level.display(
                window_level.reduced(source, window_level.THUMBNAIL) if known is None else source
            )
            if known is not None and not known.filled:
                middle = ((known.middle[0] + known.middle[1]) / 2, max(known.middle[1] - known.middle[0], 1e-6))
                pixels = window_level.display(
                    window_level.reduced(self.decoded(item, voi=False), window_level.THUMBNAIL), middle
                )
        return jpeg(window_level.shrunk(pixels, window_level.THUMBNAIL))

    def _heat(self, loaded: LoadedBundle, item: Item) -> Encoded:
        heat = self.view(loaded, item).layers.heat
        if heat is None:
            raise KeyError("heat")
        return exact(heat)

    def _reconstruction(self, loaded: LoadedBundle, item: Item) -> Encoded:
        if loaded.reconstructor is None:
            raise KeyError("reconstruction")
        return exact(as_bytes(loaded.reconstructor(self.view(loaded, item).result.image)))

    def _overlay(self, loaded: LoadedBundle, item: Item, size: int) -> Encoded:
        result = self.view(loaded, item).result
        shown = as_bytes(result.image) if result.heat is None else overlay(result.image, result.heat)
        return exact(np.ascontiguousarray(window_level.shrunk(shown, size or 360)))


def as_bytes(unit: np.ndarray) -> np.ndarray:
    """A picture of float in [0, 1] as uint8: 1 is 255."""
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
