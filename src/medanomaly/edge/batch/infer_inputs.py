"""``medanomaly infer``: score inputs and write records, one line each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medanomaly.edge import video
from medanomaly.edge.batch.anonymous import Anonymous
from medanomaly.edge.batch.inputs import expand, find_inputs, parts, pending
from medanomaly.edge.batch.output_ownership import OutError, has_records
from medanomaly.edge.batch.outputs import Pictures, Summary, Writer
from medanomaly.edge.batch.quiet import quiet
from medanomaly.edge.batch.ray_cluster import Cluster, connect
from medanomaly.edge.batch.records import Records, sole_writer
from medanomaly.edge.batch.watch import arrivals
from medanomaly.edge.batch.watch_retries import Tries
from medanomaly.edge.bundle import GRAPH, Bundle
from medanomaly.edge.bundle_graph import edited
from medanomaly.edge.detector import Detector, core
from medanomaly.edge.result import Failure, Frame
from medanomaly.failures import warn
from medanomaly.imaging import IMAGE_SUFFIXES, PassedOver, split_frame
from medanomaly.signals import StopSignal
from medanomaly.streams import watched

#: What folders are searched for.
SUFFIXES = IMAGE_SUFFIXES | video.SUFFIXES

#: Looks at the watched folder while a file settles; at least two a second.
_LOOKS = 4


@dataclass(frozen=True, kw_only=True)
class Options:
    """How inputs are scored and what is written.

    Args:
        pictures: Which pictures are written.
        resume: Go on after the records of an earlier run in the same folder; else they are replaced.
        every: Every Nth frame of a video is scored, from the first on.
        watch: A folder whose files are scored as they arrive, after the inputs, until a signal; None for none.
        settle: Seconds for which a file in it must not change before it is complete.
        device: OpenVINO device.
        hint: ``latency`` or ``throughput``; None: ``latency`` with ``watch``, else ``throughput``.
        threads: Threads of inference; None leaves the choice to OpenVINO.
        cache: Keep the compiled graph, see :class:`~medanomaly.edge.Detector`.
        ray: Address of a Ray cluster that scores, see :mod:`medanomaly.edge.batch.ray_cluster`; None for this process.
        anonymous: Call inputs by keyed hashes in all that is written, see :mod:`medanomaly.edge.batch.anonymous`.
            Libraries print nothing meanwhile; exceptions are the caller's, and name files as ever.
        anonymous_key: File of the key, made where it is missing; None for the user's own.

    Raises:
        ValueError: if a number is out of range, ``watch`` is no folder, or there is a key without ``anonymous``.
    """

    pictures: Pictures = field(default_factory=Pictures)
    resume: bool = False
    every: int = 1
    watch: Path | None = None
    settle: float = 2.0
    device: str = "CPU"
    hint: str | None = None
    threads: int | None = None
    cache: bool | str | Path = True
    ray: str | None = None
    anonymous: bool = False
    anonymous_key: Path | None = None

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")
        if not 0 <= self.settle < float("inf"):
            raise ValueError(f"settle must be a number of seconds from 0, not {self.settle}")
        if self.watch is not None and not self.watch.is_dir():
            raise ValueError(f"{self.watch}: is no folder to watch")
        if self.ray is not None and self.watch is not None:
            raise ValueError("--ray scores a list that is known at the start: it cannot be used with --watch")
        if self.anonymous_key is not None and not self.anonymous:
            raise ValueError("--anonymous-key is of use with --anonymous alone. Add that, or leave it out")


def infer(
    bundle: str | Path,
    inputs: Sequence[str | Path | Failure],
    out: str | Path,
    options: Options | None = None,
    stop: StopSignal | None = None,
) -> Summary:
    """Score inputs and write ``results.jsonl`` line by line, and what ``options`` ask for, below ``out``.

    Args:
        bundle: Folder of the bundle.
        inputs: Files, folders and patterns, see :func:`medanomaly.edge.batch.inputs.find_inputs`. Failures stay.
        out: Folder of the results.
        options: By default overlays of what is flagged, and nothing else.
        stop: Asked after each record whether to end.

    Returns:
        What was done. Its ``signum`` is the signal that ended it, if one did; all records are whole then.

    Raises:
        BundleError: if the bundle cannot be used.
        ResumeError: if there is nothing that can be gone on with.
        OneWriterError: if another process, or another call of this one, writes into ``out``.
        OutError: if ``out`` holds what is not ours and would be lost or mixed in.
        ValueError: if an option is wrong, or the key of ``anonymous`` cannot be used.
        OutputError: an OSError, if ``out`` cannot be written; records so far are whole.
    """
    if not os.fspath(out):
        raise OutError("The folder for the results has no name. Name one.")
    options, stop, out = options or Options(), stop or StopSignal(), Path(out)
    with quiet() if options.anonymous else nullcontext():
        opened = Bundle.open(bundle)
        _say_edited(opened)
        with sole_writer(out, opened, options.pictures.folders, options.resume):
            return _infer(opened, inputs, out, options, stop)


def _say_edited(bundle: Bundle) -> None:
    try:
        note = edited(core().read_model(bundle.path / GRAPH), bundle.path, bundle.card)
    except RuntimeError:  # a graph that cannot be read: compiling it says so
        return
    if note:
        warn(note)


def _check_found(listing: list[str | Failure], out: Path, options: Options) -> None:
    """See that records of an earlier run are not replaced by nothing but a mistyped name.

    Raises:
        OutError: if no input is there, and ``out`` holds records that the run would take away.
    """
    if options.resume or options.watch is not None or not listing or not has_records(out):
        return
    if any(isinstance(item, str) and os.path.lexists(split_frame(item)[0]) for item in listing):
        return
    first = listing[0]
    why = first.error if isinstance(first, Failure) else f"{first}: does not exist."
    raise OutError(
        f"No input was found: {why} {out} holds the records of an earlier run, which stay. Correct the name, or choose "
        "another folder for the results."
    )


def _infer(
    opened: Bundle, inputs: Sequence[str | Path | Failure], out: Path, options: Options, stop: StopSignal
) -> Summary:
    names = Anonymous.of(options.anonymous_key, out) if options.anonymous else None
    hint = options.hint or ("throughput" if options.watch is None else "latency")
    passed = PassedOver()
    listing = list(find_inputs(inputs, SUFFIXES, leave_out=out, passed=passed))
    _check_found(listing, out, options)
    detector: Detector | Cluster = (
        Detector(opened, options.device, hint, options.threads, options.cache)
        if options.ray is None
        else connect(options.ray, opened, listing, options.device, options.threads, options.cache, options.pictures)
    )
    done: Counter[str] = Counter()
    tries = Tries() if names is None else Tries(names.alias)
    key = names.which if names else None
    with Records(out, opened, options.resume, options.pictures.folders, key) as records, _progress() as progress:
        writer = Writer(out, records, options.pictures, passed, names)
        records.describe(passed_over=passed.to_dict())
        for number, record in enumerate(records.before()):
            done[str(record["input"])] += 1
            writer.remember(record, number)
            if options.watch is not None:
                tries.remember(record)
        done = done if names is None else names.by_path(done)
        task = progress.add_task("Scoring", total=None if options.watch else len(listing))
        total = len(listing)

        def grow(by: int) -> None:
            nonlocal total
            total += by
            progress.update(task, total=None if options.watch else total)

        stop.deferred = True
        try:
            items = _items(listing, options, out, stop, passed, tries)
            source = _source(items, options.every, done, grow, tries, writer, names)
            with closing(detector.stream_idle(source)) as outcomes:
                for outcome in outcomes:
                    if outcome is None:
                        writer.finish()
                    elif tries.takes(outcome):
                        writer.write(outcome)
                        progress.advance(task)
                    if stop.signum is not None:
                        break
            for failure in tries.rest():
                writer.write(failure)
            writer.finish()
            records.check_alone()
            writer.summary.mend(tries.mended, tries.mended_before)
            if options.watch is not None:
                records.describe(passed_over=passed.to_dict())
        finally:
            stop.deferred = False
        writer.summary.signum = stop.signum
    return writer.summary


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not watched())


def _items(
    listing: list[str | Failure], options: Options, out: Path, stop: StopSignal, passed: PassedOver, tries: Tries
) -> Iterator[str | Failure | None]:
    yield from listing
    if options.watch is not None:
        yield None  # what comes out from here on is of the folder
        poll = min(0.5, max(0.02, options.settle / _LOOKS))
        yield from arrivals(options.watch, SUFFIXES, options.settle, poll, stop.wait, out, passed, tries)


def _source(
    items: Iterable[str | Failure | None],
    every: int,
    done: Counter[str],
    grow: Callable[[int], None],
    tries: Tries,
    writer: Writer,
    names: Anonymous | None,
) -> Iterator[str | Frame | Failure | None]:
    """What is still to be scored; ``grow`` hears how many inputs a file gives beyond one."""
    for item in items:
        if item is None:
            yield None
            continue
        if names is not None and isinstance(item, str):
            names.giving(item)
        if isinstance(item, str) and (good := tries.again(item)) is not None:
            if Path(item).suffix.lower() in video.SUFFIXES:
                writer.recall(tries.called(item))
            yield from parts(item, every, good)
            continue
        given = 0
        for single in pending(item, done) if isinstance(item, Failure) else expand(item, every, done):
            given += 1
            if given > 1:
                grow(1)
            yield single
        if not given:
            grow(-1)
