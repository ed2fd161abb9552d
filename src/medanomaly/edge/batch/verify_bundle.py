"""``medanomaly verify``: check that a bundle is whole and gives the recorded scores here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov

from medanomaly import __version__
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.edge import bundle_graph
from medanomaly.edge.batch.inputs import expand, find_inputs
from medanomaly.edge.bundle import GRAPH, Bundle, BundleError, differences, read_card
from medanomaly.edge.content_hash import Contents
from medanomaly.edge.detector import Detector, core
from medanomaly.edge.result import Failure, Frame
from medanomaly.errors import MedAnomalyError
from medanomaly.files import sha256
from medanomaly.imaging import ImageError, split_frame
from medanomaly.imaging.path_kinds import no_file

#: A score this close to the threshold, relative to the larger of both, lies on it up to rounding. Rules such as
#: ``conformal`` take a validation image's score as the threshold, and that very image may be among those compared.
ON_THRESHOLD = 1e-5


class VerifyError(MedAnomalyError, ValueError):
    """The images named cannot be used for the comparison. The message says why and what to do."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: ``files``, ``graph``, ``self-test`` or ``replay``.
        good: Whether it is as at the export; None if there is nothing to compare with.
        text: What was found, and what to do if it is not good.
    """

    name: str
    good: bool | None
    text: str


@dataclass
class Report:
    """What was found.

    Args:
        bundle: The folder.
        versions: Of medanomaly and OpenVINO, at the export and here.
        checks: In the order in which they were made; where the bundle is not whole the self-test says that
            it was skipped, and there is no replay.
        replay: With images: ``recorded``, ``found``, ``failed``, ``score_relative`` (largest difference to torch's raw
            scores over these), ``limit``, ``flips`` and ``flips_on_threshold``; else None.
    """

    bundle: str
    versions: dict[str, Any]
    checks: list[Check] = field(default_factory=list)
    replay: dict[str, Any] | None = None

    @property
    def good(self) -> bool:
        """Whether nothing differs."""
        return all(check.good is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"good": self.good, **asdict(self)}


def relative(expected: float, got: float) -> float:
    """``|expected - got| / |expected|``; infinite if either is not a number."""
    difference = abs(expected - got) / max(abs(expected), 1e-12)
    return math.inf if math.isnan(difference) else difference


def flip(decider: DecisionFunction, expected: float, abnormal: bool) -> str | None:
    """Whether a decision is another than that on the expected raw score.

    Returns:
        None if not; ``flips_on_threshold`` if the expected score is the threshold up to rounding; else ``flips``.
    """
    if bool(decider.abnormal(expected)) == abnormal:
        return None
    distance = abs(float(decider.ranking_score(expected)) - float(decider.threshold))
    close = distance <= ON_THRESHOLD * max(abs(expected), abs(float(decider.threshold)))
    return "flips_on_threshold" if close else "flips"


def verify(bundle: str | Path, images: Sequence[str | Path] = (), device: str = "CPU") -> Report:
    """Check a bundle: its files by their SHA-256, that its graph belongs to its card, its self-test, and scores.

    Args:
        bundle: Its folder.
        images: Files, folders and patterns, among which those of the parity record are looked for by their content.
        device: OpenVINO device.

    Returns:
        What was found; a file that is missing or altered is a check that is not good, not an error.

    Raises:
        BundleError: if it is no bundle, its card is incomplete, or it is of a newer version.
        VerifyError: if none of the recorded images is among ``images``, or the bundle recorded none.
    """
    path = Path(bundle)
    card = read_card(path)
    versions = card.get("versions") or {}
    exported = {"medanomaly": card.get("medanomaly"), "openvino": versions.get("openvino")}
    report = Report(
        str(path), {"export": exported, "here": {"medanomaly": __version__, "openvino": ov.__version__.split("-")[0]}}
    )
    problems = differences(path, card) + _scores(path, card)
    whole = f"{len(card['files'])} files are as the card says, layout {card['schema']}"
    report.checks.append(Check("files", not problems, " ".join(problems) or whole))
    report.checks.append(_graph(path, card))
    if not report.good:
        report.checks.append(Check("self-test", None, "skipped, because the bundle is not as it was exported"))
        return report
    opened = Bundle.open(path)
    try:
        # Nothing is kept, and no compiled graph of an earlier run is taken for this one.
        detector = Detector(opened, device, cache=False)
    except BundleError as error:
        report.checks.append(Check("self-test", False, str(error)))
        return report
    known = isinstance(card.get("self_test"), dict) and detector.self_test()
    told = f"the drawn image has the score of the export on {device}" if known else "the card records no score of it"
    report.checks.append(Check("self-test", True if known else None, told))
    if images:
        report.replay = _replay(detector, images)
        report.checks.append(_judged(report.replay))
        if not math.isfinite(report.replay["score_relative"]):
            report.replay["score_relative"] = None  # JSON has no infinity
    return report


def _scores(path: Path, card: dict[str, Any]) -> list[str]:
    """What is wrong with the validation scores, which another operating point is chosen from."""
    known = card.get("validation")
    if not known:
        return []
    file = path / Path(known["file"]).name
    if not file.is_file():
        return [f"{path}: lacks {file.name}. Copy the whole folder again."]
    return [] if sha256(file) == known["sha256"] else [f"{file}: was altered since the export. Copy it again."]


def _graph(path: Path, card: dict[str, Any]) -> Check:
    """Whether graph and card belong together, whatever the hashes say."""
    if not (path / GRAPH).is_file():
        return Check("graph", None, f"there is no {GRAPH}")
    try:
        graph = core().read_model(path / GRAPH)
        inner = bundle_graph.card_of(graph)
        if inner is None:
            if card["schema"] < 3:
                return Check("graph", None, f"layout {card['schema']} has no card inside the graph to compare with")
            return Check("graph", False, f"{path / GRAPH}: holds no card. Copy the whole folder again.")
        if not bundle_graph.same_card(inner, card):
            of = (inner.get("model") or {}).get("name"), inner.get("created")
            return Check(
                "graph",
                False,
                f"{path / GRAPH}: belongs to another card (a graph of {of[0]}, exported {of[1]}), or the card was "
                "edited. Copy the whole folder of one bundle, or change it by `medanomaly decide` alone.",
            )
        if not bundle_graph.same_point(graph, card["operating_point"]):
            return Check(
                "graph",
                False,
                f"{path / GRAPH}: decides by another threshold than its card. Choose it again with "
                "`medanomaly decide`.",
            )
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        return Check("graph", False, f"{path / GRAPH}: cannot be read ({error}). Copy the whole folder again.")
    return Check("graph", True, "the card inside is that of the bundle, and the graph decides by its operating point")


def _replay(detector: Detector, images: Sequence[str | Path]) -> dict[str, Any]:
    parity = detector.bundle.card.get("parity") or {}
    recorded = {(item["sha256"], item.get("frame")): float(item["raw_score"]) for item in parity.get("replay") or []}
    if not recorded:
        raise VerifyError(
            f"{detector.bundle.path}: its parity record names no images: it is of an earlier version, or the images "
            "were not files of their own (MedMNIST). Export it again with --images, or verify it without images."
        )
    tolerance, then = float(parity["tolerance"]), float(parity["score_relative"])
    record: dict[str, Any] = {
        "recorded": len(recorded),
        "found": 0,
        "failed": [],
        "score_relative": 0.0,
        # A graph of lower precision differed from torch at the export already.
        "limit": tolerance if then <= tolerance else then + tolerance,
        "flips": 0,
        "flips_on_threshold": 0,
        "flips_limit": int(parity.get("flips", 0)),
    }
    contents, left = Contents(), dict(recorded)
    for address in _addresses(images, contents, {name for name, _ in recorded}):
        content = contents.of(address)
        expected = None if content is None else left.pop((content["sha256"], content.get("frame")), None)
        if expected is None:
            continue
        record["found"] += 1
        try:
            result = detector(address)
        except ImageError as error:
            record["failed"].append(str(error))
            continue
        record["score_relative"] = max(record["score_relative"], relative(expected, result.raw_score))
        if (kind := flip(detector.decider, expected, result.abnormal)) is not None:
            record[kind] += 1
    if not record["found"]:
        raise VerifyError(
            f"None of the {len(recorded)} recorded images is among those named. They are known by their content: name "
            "the files that the export was proved on, unchanged."
        )
    return record


def _addresses(images: Sequence[str | Path], contents: Contents, wanted: set[str]) -> list[str]:
    """Files of recorded content, and each frame of those with several."""
    found: list[str] = []
    for path in find_inputs(images):
        if isinstance(path, Failure):
            raise VerifyError(path.error)
        try:
            content = contents.of(path)
        except OSError as error:
            raise VerifyError(f"{path}: cannot be read ({error.strerror or error}). Allow reading it.") from error
        if content is None:
            raise VerifyError(f"{path}: {no_file(split_frame(path)[0]) or 'cannot be read'}.")
        if content["sha256"] in wanted:
            items = (item for item in expand(path, 1, Counter()) if not isinstance(item, (Failure, Frame)))
            found += [path, *(item for item in items if item != path)]
    return found


def _judged(replay: dict[str, Any]) -> Check:
    good = (
        not replay["failed"]
        and replay["score_relative"] <= replay["limit"]
        and replay["flips"] <= replay["flips_limit"]
    )
    text = (
        f"{replay['found']} of {replay['recorded']} recorded images found: largest relative difference to torch's raw "
        f"scores {replay['score_relative']:.2e} (limit {replay['limit']:.2g}), decisions that differ {replay['flips']}"
    )
    if replay["flips_on_threshold"]:
        text += f", and {replay['flips_on_threshold']} of scores that are the threshold up to rounding"
    if not good:
        text += ". Do not use this installation's results; compare its versions with those of the export"
        text += "".join(f". {error.rstrip('.')}" for error in replay["failed"])
    return Check("replay", good, text + ".")
