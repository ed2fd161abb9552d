"""Score inputs on a Ray cluster: Ray Data maps the detector over them with a pool of actors.

Ray brings the scheduling, the retries and the back-pressure; what is here says which files, in which order, and that
each has exactly one outcome. Workers read the files themselves, from paths that they share with this process.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.edge.bundle import Bundle
from medanomaly.edge.detector import Detector
from medanomaly.edge.result import Failure, Frame, Result
from medanomaly.edge.video import SUFFIXES as VIDEOS
from medanomaly.errors import MedAnomalyError

#: Images that an actor is handed at a time; if it is lost, they are done again.
BATCH = 16
#: Images of a block, Ray's unit of work, and the largest number of blocks: beyond it, blocks are larger.
_BLOCK, _MOST_BLOCKS = 32, 4096
#: How often a batch is tried again whose worker was lost: an image that kills every worker must not go on for ever.
RETRIES = 3


class ClusterError(MedAnomalyError, ValueError):
    """A cluster cannot be used, or gave up. The message says why and what to do."""


@dataclass(frozen=True)
class RayWork:
    """What an actor needs to make its detector, and what of a result is sent back.

    Args:
        bundle: The bundle's absolute path; each machine must have it there.
        folder: This process's working directory, from which relative names are taken.
        device, threads, cache: As for :class:`~medanomaly.edge.Detector`.
        images: Of which results the image and the map are sent, for pictures: ``flagged``, ``all`` or ``none``.
    """

    bundle: str
    folder: str
    device: str = "CPU"
    threads: int | None = 1
    cache: bool | str | Path = True
    images: str = "flagged"


class RayScorer:
    """One actor: a compiled bundle that turns batches of paths into outcomes."""

    def __init__(self, work: RayWork) -> None:
        self.work = work
        if Path(work.folder).is_dir():
            os.chdir(work.folder)
        self.detector = Detector(work.bundle, work.device, "throughput", work.threads, work.cache)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Score a batch: columns ``number`` and ``path`` (n,) to ``number`` and ``outcome``, pickled."""
        paths = [os.fsdecode(bytes(path)) for path in batch["path"]]
        outcomes = [pickle.dumps(self._lean(outcome)) for outcome in self.detector.stream(paths)]
        return {"number": batch["number"], "outcome": np.array(outcomes, dtype=object)}

    def _lean(self, outcome: Result | Failure) -> Result | Failure:
        """Without what no picture is made of: it would travel through the cluster for nothing."""
        if isinstance(outcome, Failure) or self.work.images == "all":
            return outcome
        if self.work.images == "flagged" and outcome.abnormal:
            return outcome
        return replace(outcome, image=np.empty((0, 0, 3), np.float32), raw_map=None)


class Cluster:
    """A connection to a Ray cluster that scores paths with a bundle.

    Args:
        address: ``local`` starts a cluster on this machine for as long as it is used; ``auto`` finds the one that runs
            here; ``host:port`` or ``ray://host:port`` names another.
        work: What actors do.

    Raises:
        ClusterError: if Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str, work: RayWork) -> None:
        # Asked for before the import, which reads it: nothing is sent to anybody.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise ClusterError(f"--ray needs Ray Data ({error}). pip install 'medanomaly[ray]'") from error
        self.ray, self.work = ray, work
        local: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        main = threading.current_thread() is threading.main_thread()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if main else {}
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ClusterError(
                f"no Ray cluster at {address} ({error}). Start one with `ray start --head`, or take --ray local."
            ) from error
        finally:
            for number, handler in handlers.items():  # Ray sets its own, which would tear a record
                signal.signal(number, handler)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    def stream_idle(
        self, source: Iterable[str | Frame | Failure | None]
    ) -> Generator[Result | Failure | None, None, None]:
        """Score a source, which is read to its end first, in its order; see :meth:`Detector.stream_idle`.

        The connection ends with it.

        Raises:
            ClusterError: if a batch was lost more than ``RETRIES`` times.
        """
        try:
            items = [item for item in source if isinstance(item, (str, Failure))]
            numbers = [number for number, item in enumerate(items) if not isinstance(item, Failure)]
            scored = self._scored(items, numbers)
            waiting: dict[int, Result | Failure] = {}
            for number, item in enumerate(items):
                if isinstance(item, Failure):
                    yield item
                    continue
                while number not in waiting:
                    found = next(scored, None)
                    if found is None:
                        raise ClusterError(f"the cluster gave no result for {item}. Go on with --resume.")
                    if found[0] >= number:  # what was done twice comes out once
                        waiting.setdefault(*found)
                yield waiting.pop(number)
        finally:
            self.ray.shutdown()

    def _scored(self, items: list[str | Failure], numbers: list[int]) -> Iterator[tuple[int, Result | Failure]]:
        if not numbers:
            return
        # Paths as bytes: names that are not UTF-8 are no strings to Arrow.
        rows = [{"number": number, "path": os.fsencode(str(items[number]))} for number in numbers]
        blocks = max(1, min(-(-len(rows) // _BLOCK), _MOST_BLOCKS))
        cores = max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        images = self.ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            RayScorer,
            fn_constructor_args=[self.work],
            batch_size=BATCH,
            concurrency=(1, min(cores, blocks)),
            num_cpus=1,
            max_task_retries=RETRIES,
        )
        try:
            for row in images.iter_rows():
                yield int(row["number"]), pickle.loads(row["outcome"])  # noqa: S301 (of our own actors)
        except self.ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise ClusterError(
                f"the cluster gave up: {last}. Records so far are whole. Go on with --resume."
            ) from error


def images_for(which: Iterable[str]) -> str:
    """Of which results image and map must come back, for pictures of which ``flagged``, ``all`` or ``none``."""
    asked = set(which)
    return "all" if "all" in asked else "flagged" if "flagged" in asked else "none"


def connect(
    address: str,
    bundle: Bundle,
    listing: Iterable[str | Failure],
    device: str,
    threads: int | None,
    cache: bool | str | Path,
    pictures: Any,
) -> Cluster:
    """A cluster that scores the files of a listing with a bundle; ``pictures`` as for the writer.

    Raises:
        ClusterError: if a video is among the files, Ray is not installed, or there is no cluster.
    """
    videos = [item for item in listing if isinstance(item, str) and Path(item).suffix.lower() in VIDEOS]
    if videos:
        raise ClusterError(f"{videos[0]}: a video cannot be scored with --ray. Score it without, and the rest apart.")
    images = images_for(vars(pictures).values())
    work = RayWork(str(bundle.path.resolve()), str(Path.cwd()), device, threads or 1, cache, images)
    return Cluster(address, work)
