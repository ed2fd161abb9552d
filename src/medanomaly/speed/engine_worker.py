"""Run one engine in a process of its own: JSON lines in, JSON lines out.

Run as a file, so that nothing is imported but what the engine itself needs: the time to its first score is its own.
The first line says what to load; a first image is scored at once. Each further line is an order: ``each`` scores
paths one at a time, ``stream`` scores them as the engine does many, ``parts`` takes the CPU time apart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any


class Engine:
    """An engine that scores one path at a time.

    Args:
        spec: ``bundle`` and ``cache`` are folders; ``model`` is a file of the engine's own kind, ``config`` OpenVINO's
            options.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        raise NotImplementedError

    def score(self, path: str) -> float:
        """The raw score of a file."""
        raise NotImplementedError

    def stream(self, paths: Iterable[str]) -> Iterator[float]:
        """The scores of many files, in order."""
        return map(self.score, paths)


class Ours(Engine):
    """The edge runtime; ``hint`` is that of ``Detector``."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from medanomaly.edge import Detector

        self.detector = Detector(spec["bundle"], hint=spec["hint"], cache=spec.get("cache", False))

    def score(self, path: str) -> float:
        """The raw score of a file."""
        return self.detector(path).raw_score

    def stream(self, paths: Iterable[str]) -> Iterator[float]:
        """The scores of many files, read and scored side by side."""
        for outcome in self.detector.stream(paths):
            if not hasattr(outcome, "raw_score"):
                raise ValueError(outcome.error)
            yield outcome.raw_score

    def parts(self, paths: list[str]) -> dict[str, float]:
        """CPU seconds an image of each step, measured by itself: reading, the graph, and what follows."""
        reading, spent = self.detector.bundle.reading, dict.fromkeys(("decode", "infer", "post"), 0.0)
        for start in range(0, len(paths), 64):  # a batch after another: prepared images are not kept by the thousand
            part = paths[start : start + 64]
            begin = time.process_time()
            images = [reading.load_placed(path)[0] for path in part]
            read = time.process_time()
            for image in images:
                self.detector.infer(image)
            inferred = time.process_time()
            for image in images:
                result = self.detector.score(image)
                _ = result.heat, result.mask
            scored = time.process_time()
            spent["decode"] += read - begin
            spent["infer"] += inferred - read
            spent["post"] += (scored - inferred) - (inferred - read)
        return {name: max(0.0, seconds) / len(paths) for name, seconds in spent.items()}


class OnnxRuntime(Engine):
    """ONNX Runtime on the bundle's ``model.onnx``, with our reader in front: it has none."""

    def __init__(self, spec: dict[str, Any]) -> None:
        import numpy as np
        import onnxruntime

        from medanomaly.imaging import Preprocessing

        card = json.loads(Path(spec["bundle"], "card.json").read_text(encoding="utf-8"))
        self.reading = Preprocessing.from_dict(card["reading"])
        self.session = onnxruntime.InferenceSession(spec["model"], providers=["CPUExecutionProvider"])
        self.name, self.tensor = self.session.get_inputs()[0].name, np.ascontiguousarray

    def score(self, path: str) -> float:
        """The raw score of a file."""
        image = self.tensor(self.reading.load(path).transpose(2, 0, 1)[None])
        names = [output.name for output in self.session.get_outputs()]
        return float(self.session.run(names, {self.name: image})[names.index("pred_score")].reshape(-1)[0])


class AnomalibOpenVino(Engine):
    """anomalib's ``OpenVINOInferencer``."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from anomalib.deploy import OpenVINOInferencer

        self.inferencer = OpenVINOInferencer(spec["model"], device="CPU", config=spec["config"])

    def score(self, path: str) -> float:
        """The score of a file."""
        scored: Any = self.inferencer.predict(path)
        return float(scored.pred_score.reshape(-1)[0])


class AnomalibTorch(Engine):
    """anomalib's ``TorchInferencer``; it unpickles, and so wants TRUST_REMOTE_CODE=1 of whoever starts this."""

    def __init__(self, spec: dict[str, Any]) -> None:
        import torch
        from anomalib.deploy import TorchInferencer

        self.inference_mode, self.inferencer = torch.inference_mode, TorchInferencer(spec["model"], device="cpu")

    def score(self, path: str) -> float:
        """The score of a file."""
        with self.inference_mode():
            scored: Any = self.inferencer.predict(path)
            return float(scored.pred_score.reshape(-1)[0])


ENGINES: dict[str, type[Engine]] = {
    "ours": Ours,
    "onnxruntime": OnnxRuntime,
    "anomalib-openvino": AnomalibOpenVino,
    "anomalib-torch": AnomalibTorch,
}


def memory(field: str = "VmHWM") -> int | None:
    """Bytes of memory of this process: ``VmHWM`` its peak, ``VmRSS`` now; None where the system does not tell."""
    # getrusage would count the parent's memory at the fork too.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)


def obey(engine: Engine, order: dict[str, Any]) -> dict[str, Any]:
    """Do one order; returns what is answered."""
    paths, what = order["paths"], order["do"]
    if what == "parts":
        return {"parts": engine.parts(paths)}  # type: ignore[attr-defined]
    seconds: list[float] = []
    total = 0.0
    start, cpu = time.perf_counter(), time.process_time()
    if what == "each":
        for path in paths:
            begin = time.perf_counter()
            total += engine.score(path)
            seconds.append(time.perf_counter() - begin)
    else:
        # Over and over, where more are asked for than there are files: what a run of many needs is then its own.
        total = sum(engine.stream(islice(cycle(paths), order.get("count", len(paths)))))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    answer = {"wall": wall, "cpu": cpu, "peak": memory(), "now": memory("VmRSS")}
    return {**answer, "seconds": seconds, "sum": float(total)}


def main() -> int:
    """Load, score the first image, obey."""
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != folder]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what engines print is no answer

    def answer(record: dict[str, Any]) -> None:
        answers.write(json.dumps(record) + "\n")
        answers.flush()

    engine: Engine | None = None
    try:
        for line in sys.stdin:
            order = json.loads(line)
            if engine is None:
                engine = ENGINES[order["engine"]](order)
                answer({"score": engine.score(order["first"])})
            else:
                answer(obey(engine, order))
    except Exception as error:  # whatever an engine raises is its answer
        answer({"error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    # At the end an engine's threads and caches are not waited for: the parent has all it wants.
    status = main()
    sys.stderr.flush()
    os._exit(status)
