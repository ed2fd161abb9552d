"""``medanomaly speed``: measure a bundle here, beside other engines on the same network.

Each engine runs in a process of its own. Rounds are interleaved (A B C A B C …), since other work on the machine slows
all of them alike; figures are medians over the rounds, and ratios are medians of each round's own ratio.
"""

from __future__ import annotations

import math
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medanomaly.edge.batch.inputs import find_inputs
from medanomaly.edge.bundle import Bundle
from medanomaly.edge.detector import cores
from medanomaly.edge.result import Failure
from medanomaly.speed import FOUND_BY, NAMES
from medanomaly.speed.engine_process import Candidate, EngineError, Worker
from medanomaly.speed.engines import candidates, inferences_per_second

#: Images of a stream at least, over and over where there are fewer: its threads start and end at different times, which
#: a short one would count as lost.
_STREAM = 500


@dataclass
class Rounds:
    """What one engine did, a value a round."""

    cold_start: list[float] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: list[float] = field(default_factory=list)

    def values(self) -> dict[str, list[float]]:
        """The figures that are compared, by name."""
        return {
            "images_per_second": self.images_per_second,
            "cold_start": self.cold_start[1:] or self.cold_start,
            "latency_p50": [percentile(each, 50) for each in self.latencies],
            "latency_p99": [percentile(each, 99) for each in self.latencies],
            "cpu_seconds": self.cpu_seconds,
            "peak_bytes": self.peak_bytes[:1],
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` per cent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def measure(
    bundle: str | Path,
    inputs: Sequence[str | Path],
    repeat: int = 3,
    limit: int = 200,
    against: Sequence[str] | None = None,
    anomalib: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005
) -> dict[str, Any]:
    """Measure a bundle.

    Args:
        bundle: Folder of the bundle.
        inputs: Files, folders and patterns, as for ``infer``.
        repeat: Rounds.
        limit: Largest number of images, evenly spread over those found; each is read from its file in each round.
        against: Names out of :data:`medanomaly.speed.NAMES`; None for all that can be had.
        anomalib: Folder of anomalib's own export of the network (``weights/openvino/model.xml``,
            ``weights/torch/model.pt``); by default its OpenVINO inferencer gets the bundle's graph with a resize in
            front, and its torch inferencer is left out.
        tell: Hears what is being done.

    Returns:
        A record of plain values; see ``docs/edge.md``.

    Raises:
        BundleError: if the bundle cannot be used.
        ValueError: if a number or a name is wrong, there is no image, or one cannot be scored.
    """
    if repeat < 1 or limit < 1:
        raise ValueError("repeat and limit must be at least 1")
    if unknown := set(against or ()) - set(NAMES):
        raise ValueError(f"unknown engine '{sorted(unknown)[0]}'; choose from {', '.join(NAMES)}")
    opened = Bundle.open(Path(bundle).absolute())
    found = list(find_inputs(inputs))
    if failures := [item.error for item in found if isinstance(item, Failure)]:
        raise ValueError(failures[0])
    if not found:
        raise ValueError("there is no image to measure with")
    # Evenly spread; paths are absolute, because engines have working directories of their own.
    chosen = [found[i * len(found) // min(limit, len(found))] for i in range(min(limit, len(found)))]
    paths = [str(Path(str(path)).absolute()) for path in chosen]
    with tempfile.TemporaryDirectory(prefix="medanomaly-speed-") as folder:
        wanted = NAMES if against is None else tuple(against)
        others, missing = candidates(opened, wanted, Path(folder), anomalib)
        return _Measurement(opened, paths, repeat, Path(folder), tell).run(others, missing, FOUND_BY in wanted)


class _Measurement:
    def __init__(
        self, bundle: Bundle, paths: list[str], repeat: int, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self.bundle, self.paths, self.repeat, self.folder, self.tell = bundle, paths, repeat, folder, tell
        self.parts: list[dict[str, float]] = []
        self.bound: list[float] = []

    def run(self, others: list[Candidate], missing: dict[str, str], app: bool) -> dict[str, Any]:
        spec = {"engine": "ours", "bundle": str(self.bundle.path), "cache": str(self.folder / "cache")}
        each = Candidate("latency", {**spec, "hint": "latency"}, self.folder)
        many = Candidate("throughput", {**spec, "hint": "throughput"}, self.folder)
        rounds = {name: Rounds() for name in ("ours", *(other.name for other in others))}
        with ExitStack() as stack:
            workers: dict[str, Worker] = {}
            for turn in range(self.repeat):
                for candidate in (each, *others):
                    if candidate.name in missing:
                        continue
                    self.tell(f"start {turn + 1} of {self.repeat}: {candidate.name}")
                    key = "ours" if candidate is each else candidate.name
                    try:
                        worker = Worker(candidate, self.paths[0])
                    except EngineError as error:
                        self._fails(key, str(error), missing)
                        continue
                    rounds[key].cold_start.append(worker.cold_start)
                    if turn + 1 < self.repeat:
                        worker.close()
                    else:
                        workers[key] = stack.enter_context(worker)
            stream = stack.enter_context(self._started(many))
            for turn in range(-1, self.repeat):  # the first warms up, and is not counted
                names = list(workers)[:: 1 if turn % 2 else -1]
                for name in names:
                    self.tell(f"round {turn + 1} of {self.repeat}: {name}")
                    try:
                        self._turn(workers[name], stream if name == "ours" else None, rounds[name], turn < 0)
                    except EngineError as error:
                        self._fails(name, str(error), missing)
                        del workers[name]
                if turn >= 0:
                    self.parts.append(stream.ask("parts", self.paths)["parts"])
                    if app and FOUND_BY not in missing:
                        try:
                            self.bound.append(inferences_per_second(self.bundle, self.folder))
                        except EngineError as error:
                            missing[FOUND_BY] = str(error)
        return self._report(rounds, missing)

    def _started(self, candidate: Candidate) -> Worker:
        try:
            return Worker(candidate, self.paths[0])
        except EngineError as error:
            raise ValueError(f"this bundle cannot be measured with {self.paths[0]}: {error}") from error

    @staticmethod
    def _fails(name: str, error: str, missing: dict[str, str]) -> None:
        if name == "ours":
            raise ValueError(f"an image cannot be scored: {error}")
        missing[name] = error

    def _turn(self, worker: Worker, stream: Worker | None, kept: Rounds, warm_up: bool) -> None:
        done = worker.ask("each", self.paths)
        count = max(len(self.paths), _STREAM) if stream else len(self.paths)
        many = stream.ask("stream", self.paths, count=count) if stream else done
        if warm_up:
            kept.peak_bytes += [many["peak"]] if many["peak"] else []
            return
        kept.latencies.append(done["seconds"])
        kept.images_per_second.append(count / many["wall"])
        kept.cpu_seconds.append(many["cpu"] / count)

    def _report(self, rounds: dict[str, Rounds], missing: dict[str, str]) -> dict[str, Any]:
        ours = rounds.pop("ours")
        parts = {name: statistics.median(part[name] for part in self.parts) for name in self.parts[0]}
        alone = [cores() / (part["decode"] + part["infer"]) for part in self.parts]
        bound: dict[str, Any] = {
            "images_per_second": statistics.median(alone),
            "ratio": _ratio(ours.images_per_second, alone),
            # Of CPU seconds, which other work on the machine does not take away.
            "cpu_ratio": _ratio([part["decode"] + part["infer"] for part in self.parts], ours.cpu_seconds),
        }
        if self.bound:
            with_app = [cores() / (part["decode"] + cores() / rate) for part, rate in zip(self.parts, self.bound)]  # noqa: B905
            bound[FOUND_BY] = {
                "inferences_per_second": statistics.median(self.bound),
                "images_per_second": statistics.median(with_app),
                "ratio": _ratio(ours.images_per_second, with_app),
            }
        elif FOUND_BY in missing:
            bound[FOUND_BY] = {"missing": missing[FOUND_BY]}
        return {
            "bundle": str(self.bundle.path),
            "model": self.bundle.card.get("model", {}).get("name"),
            "size": list(self.bundle.reading.size),
            "precision": self.bundle.card.get("precision", "f32"),
            "images": len(self.paths),
            "repeat": self.repeat,
            "machine": {"cores": cores(), "processor": _processor()},
            "ours": {**_figures(ours), "cpu_parts": parts},
            "bound": bound,
            "against": {
                **{
                    name: {"ratios": _ratios(ours, other), "figures": _figures(other)}
                    for name, other in rounds.items()
                    if name not in missing
                },
                **{name: {"missing": why} for name, why in missing.items() if name != FOUND_BY},
            },
        }


def _figures(rounds: Rounds) -> dict[str, Any]:
    pooled = [seconds for each in rounds.latencies for seconds in each]
    return {
        "images_per_second": statistics.median(rounds.images_per_second),
        "cold_start": {
            "first": rounds.cold_start[0],
            "again": statistics.median(rounds.cold_start[1:]) if rounds.cold_start[1:] else None,
        },
        "latency": {f"p{share}": percentile(pooled, share) for share in (50, 95, 99)},
        "cpu_seconds": statistics.median(rounds.cpu_seconds),
        "peak_bytes": rounds.peak_bytes[0] if rounds.peak_bytes else None,
    }


def _ratios(ours: Rounds, other: Rounds) -> dict[str, float | None]:
    theirs = other.values()
    return {name: _ratio(values, theirs[name]) for name, values in ours.values().items()}


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    ratios = [a / b for a, b in zip(ours, theirs, strict=False) if b]
    return statistics.median(ratios) if ratios else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
