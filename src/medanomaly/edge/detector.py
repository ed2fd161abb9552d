"""``Detector``: a compiled bundle that turns images into results."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import openvino as ov

from medanomaly.decision.decider import Decider
from medanomaly.decision.score import to_unit
from medanomaly.edge.bundle import GRAPH, Bundle, BundleError
from medanomaly.imaging import ImageError

#: Images decoded ahead of inference; bounds memory however many are streamed.
_AHEAD = 8


@cache
def core() -> ov.Core:
    """OpenVINO's core, one for the process and kept to its end.

    Each core's CPU plugin lays a signal stack of its own under the thread and, when it goes, puts back the one that it
    found, be that still there or not. Two cores freed in the order they were made leave the thread with freed memory,
    and the next signal with a Python handler (Ctrl-C, a data loader's worker that ends) is a segmentation fault
    (OpenVINO 2026.4, Linux).
    """
    return ov.Core()


@dataclass(frozen=True)
class Result:
    """What the model says of one image.

    Args:
        input: Path, or the name given to an array.
        raw_score: The model's own score, any range; higher is more abnormal.
        score: In (0, 1), 0.5 at the operating point.
        abnormal: The decision: whether ``raw_score`` is above the threshold, or for a two-sided rule its distance from
            the centre.
        image: (H, W, 3) float32 in [0, 1], as the model saw it.
        heat: (H, W) float32 in (0, 1), 0.5 at the pixel threshold; None if the model gives no map.
        mask: (H, W) of bool, pixels above the pixel threshold; None likewise.
        parts: What the raw score is made of, by name; empty for a model with a single score.
        p_value: Of the rule ``conformal``, in (0, 1]: how unusual the score is among normal validation images, see
            :func:`medanomaly.decision.conformal.p_value`; None for other rules.
    """

    input: str
    raw_score: float
    score: float
    abnormal: bool
    image: np.ndarray
    heat: np.ndarray | None
    mask: np.ndarray | None
    parts: dict[str, float] = field(default_factory=dict)
    p_value: float | None = None


@dataclass(frozen=True)
class Failure:
    """An input that could not be scored, and why."""

    input: str
    error: str


class Detector:
    """Score images with an exported bundle.

    Args:
        bundle: Folder of a bundle, or an opened one.
        device: OpenVINO device.

    Raises:
        BundleError: if the bundle cannot be used or the device is not there.

    Example:
        >>> detector = Detector("bundle")                       # doctest: +SKIP
        >>> detector("frame.png").abnormal                      # doctest: +SKIP
        True
    """

    def __init__(self, bundle: str | Path | Bundle, device: str = "CPU") -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        height, width = self.bundle.reading.size
        try:
            graph = core().read_model(self.bundle.path / GRAPH)
            graph.reshape([1, 3, height, width])
            # Without the hint OpenVINO computes in bfloat16 where the CPU has it, and decisions flip.
            compiled = core().compile_model(graph, device, {"INFERENCE_PRECISION_HINT": "f32"})
        except RuntimeError as error:
            raise BundleError(f"{self.bundle.path}: cannot be compiled for {device} ({error}).") from error
        names = {name for port in compiled.outputs for name in port.get_names()}
        if "pred_score" not in names:
            raise BundleError(f"{self.bundle.path}: its graph has no output pred_score but {sorted(names)}.")
        self._has_map = "anomaly_map" in names
        self._parts: list[str] = self.bundle.card.get("parts", []) if "parts" in names else []
        self._request = compiled.create_infer_request()
        point = self.bundle.card["operating_point"]
        self.decider = Decider.of(point)
        pixel = point.get("pixel")
        self._pixel = (np.float32(pixel["threshold"]), np.float32(pixel["scale"])) if pixel else None

    def __call__(self, image: str | Path | np.ndarray, name: str = "image") -> Result:
        """Score one image.

        Args:
            image: A path, or a decoded image (H, W, 3) of uint8, uint16 or float32, RGB.
            name: What to call an array in the result and in errors.

        Raises:
            ImageError: if it cannot be read.
        """
        if isinstance(image, np.ndarray):
            return self.score(self.bundle.reading.prepare(image, name), name)
        return self.score(self.bundle.reading.load(image), str(image))

    def score(self, image: np.ndarray, name: str = "image") -> Result:
        """Score an image that was read already: (H, W, 3) float32 in [0, 1], of the bundle's size."""
        self._request.infer({0: np.ascontiguousarray(image.transpose(2, 0, 1)[None])})
        raw = np.float32(self._request.get_tensor("pred_score").data.reshape(-1)[0])
        heat = mask = None
        if self._has_map and self._pixel:
            raw_map = self.last_raw_map()
            heat, mask = to_unit(raw_map, *self._pixel), raw_map > self._pixel[0]
        p_value = self.decider.p_value(raw)
        return Result(
            name,
            float(raw),
            float(self.decider.score(raw)),
            bool(self.decider.abnormal(raw)),
            image,
            heat,
            mask,
            self._last_parts(),
            None if p_value is None else float(p_value),
        )

    def last_raw_map(self) -> np.ndarray:
        """The raw map (H, W) float32 of the image scored last."""
        height, width = self.bundle.reading.size
        return self._request.get_tensor("anomaly_map").data.reshape(height, width).copy()

    def _last_parts(self) -> dict[str, float]:
        if not self._parts:
            return {}
        values = self._request.get_tensor("parts").data.reshape(-1)
        return dict(zip(self._parts, map(float, values), strict=True))

    def stream(self, paths: Iterable[str | Path], threads: int = 2) -> Iterator[Result | Failure]:
        """Score paths in order, decoding ahead in threads; a bad file is a :class:`Failure` and the rest goes on."""
        read = self.bundle.reading.load
        waiting: deque[tuple[str, Future]] = deque()

        def finish() -> Result | Failure:
            path, image = waiting.popleft()
            try:
                return self.score(image.result(), path)
            except ImageError as error:
                return Failure(path, str(error))
            except Exception as error:  # whatever a file provokes is its record, never the end of the batch
                return Failure(path, f"{path}: {type(error).__name__}: {error}")

        with ThreadPoolExecutor(threads) as pool:
            for path in paths:
                waiting.append((str(path), pool.submit(read, path)))
                if len(waiting) > _AHEAD:
                    yield finish()
            while waiting:
                yield finish()
