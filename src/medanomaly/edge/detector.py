"""``Detector``: a compiled bundle that turns images into results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import cache as once
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import openvino as ov

from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.edge import self_test
from medanomaly.edge.bundle import Bundle, BundleError
from medanomaly.edge.bundle_graph import RAW
from medanomaly.edge.compilation import compile_bundle
from medanomaly.edge.ordered_pool import ordered_map
from medanomaly.edge.result import Failure, Frame, Result
from medanomaly.imaging import ImageError, Placement

#: More readers than this wait for the disk, or for one another.
_MOST_READERS = 8
#: Under the hint ``throughput`` a thread reads up to this many images and then scores them: code and weights stay in
#: the core's cache (of a small network up to a fifth more images a second). Large images, by pixels, come in fewer.
_GROUP, _GROUP_PIXELS = 8, 2**19


Done = TypeVar("Done")
#: A prepared image (H, W, 3), its name, its place, seconds into the video, and when its reading began.
_Read = tuple[np.ndarray, str, Placement | None, float | None, float]


@once
def core() -> ov.Core:
    """OpenVINO's core, one for the process and kept to its end.

    Each core's CPU plugin lays a signal stack of its own under the thread and, when it goes, puts back the one that it
    found, be that still there or not. Two cores freed in the order they were made leave the thread with freed memory,
    and the next signal with a Python handler (Ctrl-C, a data loader's worker that ends) is a segmentation fault
    (OpenVINO 2026.4, Linux).
    """
    return ov.Core()


class Detector:
    """Score images with an exported bundle; may be called from several threads.

    The first inference, which is slower, is done on loading, on a drawn image whose score the card knows: an
    installation that computes otherwise is refused.

    Args:
        bundle: Folder of a bundle, or an opened one.
        device: OpenVINO device.
        hint: ``latency``: lowest delay for each image; ``throughput``: many images, several at a time.
        threads: Threads of inference; None leaves the choice to OpenVINO.
        cache: Keep the compiled graph for the next start: True in the user's cache folder, False nowhere, or a folder.
            A folder that cannot be written is no error.

    Raises:
        BundleError: if the bundle cannot be used, fails its self-test, or the device is not there.
        ValueError: if ``hint`` or ``threads`` is wrong.

    Example:
        >>> detector = Detector("bundle")                       # doctest: +SKIP
        >>> detector("frame.png").abnormal                      # doctest: +SKIP
        True
    """

    def __init__(
        self,
        bundle: str | Path | Bundle,
        device: str = "CPU",
        hint: str = "latency",
        threads: int | None = None,
        cache: bool | str | Path = True,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self.device = device
        compiled = compile_bundle(core(), self.bundle, device, hint, threads, cache)
        names = {name for port in compiled.outputs for name in port.get_names()}
        # In layout 2 and before the raw tensors are the outputs, under the names that now belong to decided ones.
        ours = {raw: raw if "raw_score" in names else old for raw, old in RAW.items()}
        self._score, self._map = ours["raw_score"], ours["raw_map"] if ours["raw_map"] in names else None
        if self._score not in names:
            raise BundleError(f"{self.bundle.path}: its graph has no output pred_score but {sorted(names)}.")
        self._parts: list[str] = self.bundle.card.get("parts", []) if "parts" in names else []
        self._requests: SimpleQueue[ov.InferRequest] = SimpleQueue()
        height, width = self.bundle.reading.size
        self._group = 1 if hint == "latency" else max(1, min(_GROUP, _GROUP_PIXELS // (height * width)))
        self.requests = max(1, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
        for _ in range(self.requests):
            self._requests.put(compiled.create_infer_request())
        point = self.bundle.card["operating_point"]
        self.decider = DecisionFunction.of(point)
        pixel = point.get("pixel")
        self._pixel = (np.float32(pixel["threshold"]), np.float32(pixel["scale"])) if pixel else None
        self.self_test()

    def self_test(self) -> bool:
        """Score the drawn image again and compare with the card; see :mod:`medanomaly.edge.self_test`.

        Returns:
            False if the bundle is of a version that recorded no score of it.

        Raises:
            BundleError: if the score differs.
        """
        return self_test.check(self)

    def __call__(self, image: str | Path | np.ndarray | Frame, name: str = "image") -> Result:
        """Score one image.

        Args:
            image: A path, or a decoded image, as :meth:`medanomaly.imaging.Preprocessing.prepare` takes it:
                (H, W, 3) RGB or (H, W) grey of uint8, uint16 or floats.
            name: What to call an array in the result and in errors.

        Raises:
            ImageError: if it cannot be read, or is an array of another type or shape, or of NaN; says what to pass.
        """
        return self._scored(*self._read(image, name))

    def _read(self, image: str | Path | np.ndarray | Frame, name: str = "image") -> _Read:
        start, seconds, reading = time.perf_counter(), None, self.bundle.reading
        if isinstance(image, (str, os.PathLike)):
            name = str(image)
            prepared, place = reading.load_placed(image)
        elif isinstance(image, Frame):
            name, seconds = image.name, image.time
            prepared, place = reading.prepare_placed(image.pixels, name)
        else:
            prepared, place = reading.prepare_placed(image, name)
        return prepared, name, place, seconds, start

    def score(self, image: np.ndarray, name: str = "image") -> Result:
        """Score an image that was read already: (H, W, 3) float32 in [0, 1], of the bundle's size.

        Raises:
            ImageError: if it has another shape or type, or leaves [0, 1].
        """
        _check_read(image, self.bundle.reading.size, name)
        return self._scored(image, name, None, None, time.perf_counter())

    def batch(self, images: Iterable[str | Path | np.ndarray | Frame]) -> list[Result | Failure]:
        """Score images and paths, several at a time under the hint ``throughput``; a bad one is a :class:`Failure`.

        Arrays are called ``image 0``, ``image 1`` and so on, by their place among the images.
        """
        known = (str, os.PathLike, Frame, Failure, type(None))
        named = (image if isinstance(image, known) else Frame(f"image {i}", image) for i, image in enumerate(images))
        return [outcome for outcome in self.stream(named) if outcome is not None]

    def stream(
        self,
        source: Iterable[str | Path | Frame | Failure | None],
        readers: int | None = None,
        ahead: int | None = None,
    ) -> Generator[Result | Failure, None, None]:
        """Score a source of any length in its order; threads read ahead and feed the infer requests.

        Memory is bounded by ``ahead``, not by the source. A consumer that stops early leaves no thread behind.

        Args:
            source: Paths and frames. A :class:`Failure` is handed on in its place; None says that there is nothing at
                the moment, and brings out what is waiting.
            readers: Threads beside one for each infer request; by default as many as leave a thread for each CPU core,
                at most 8. With one more, two cores did a tenth fewer images a second.
            ahead: Items drawn from the source and not yet handed out, at most; by default two groups for
                each thread. A group is one image under the hint ``latency``, and under ``throughput`` up to 8.

        Yields:
            A :class:`Result`, or a :class:`Failure` in place of an exception.
        """
        with closing(self.stream_idle(source, readers, ahead)) as outcomes:
            yield from (outcome for outcome in outcomes if outcome is not None)

    def stream_idle(
        self,
        source: Iterable[str | Path | Frame | Failure | None],
        readers: int | None = None,
        ahead: int | None = None,
    ) -> Generator[Result | Failure | None, None, None]:
        """:meth:`stream` that hands on each None of the source too, when all before it has come out."""
        workers = self.requests + (readers or min(_MOST_READERS, max(0, cores() - self.requests)))
        group = self._group if ahead is None else max(1, min(self._group, ahead // (2 * workers)))
        return ordered_map(
            source,
            self._outcomes,
            workers,
            ahead or 2 * workers * group,
            group,
            lambda item: isinstance(item, Frame),
        )

    def _outcomes(self, items: list[str | Path | Frame | Failure]) -> list[Result | Failure]:
        read = [item if isinstance(item, Failure) else self._attempt(item, self._read, item) for item in items]
        return [
            one if isinstance(one, Failure) else self._attempt(item, self._scored, *one)
            for item, one in zip(items, read, strict=True)
        ]

    @staticmethod
    def _attempt(item: str | Path | Frame | Failure, step: Callable[..., Done], *args: Any) -> Done | Failure:
        path = isinstance(item, (str, os.PathLike))
        name, seconds = (item.name, item.time) if isinstance(item, Frame) else (str(item) if path else "image", None)
        try:
            return step(*args)
        except ImageError as error:
            return Failure(name, str(error), seconds)
        except OSError as error:
            return Failure(name, f"{name}: cannot be read ({error.strerror or error}). Allow reading it.", seconds)
        except Exception as error:  # whatever a file provokes is its record, never the end of the batch
            return Failure(name, f"{name}: {type(error).__name__}: {error}", seconds)

    def infer(self, image: np.ndarray) -> tuple[np.float32, np.ndarray | None, list[float]]:
        """The graph alone: an image that was read already to its raw score, raw map (H, W) and parts."""
        size = self.bundle.reading.size
        tensor = self.bundle.form.tensor(image)
        request = self._requests.get()
        try:
            request.infer({0: tensor})
            raw = np.float32(request.get_tensor(self._score).data.reshape(-1)[0])
            raw_map = request.get_tensor(self._map).data.reshape(size).copy() if self._map else None
            values = request.get_tensor("parts").data.reshape(-1).tolist() if self._parts else []
        finally:
            self._requests.put(request)
        return raw, raw_map, values

    def _scored(
        self, image: np.ndarray, name: str, place: Placement | None, seconds: float | None, start: float
    ) -> Result:
        raw, raw_map, values = self.infer(image)
        p_value = self.decider.p_value(raw)
        return Result(
            input=name,
            raw_score=float(raw),
            score=float(self.decider.score(raw)),
            abnormal=bool(self.decider.abnormal(raw)),
            image=image,
            raw_map=raw_map,
            pixel=self._pixel,
            parts=dict(zip(self._parts, values, strict=True)),
            p_value=None if p_value is None else float(p_value),
            place=place,
            time=seconds,
            seconds=time.perf_counter() - start,
        )


def _check_read(image: np.ndarray, size: tuple[int, int], name: str) -> None:
    plain = isinstance(image, np.ndarray) and image.shape == (*size, 3) and image.dtype.kind == "f"
    if not plain or not (image.min() > -1e-6 and image.max() < 1 + 1e-6):  # NaN is neither
        raise ImageError(
            f"{name}: is not as the model reads it, ({size[0]}, {size[1]}, 3) of float in [0, 1]. Call the detector on "
            "the image itself, which reads it so."
        )


def cores() -> int:
    """CPU cores this process may use: a container or ``taskset`` may leave fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
