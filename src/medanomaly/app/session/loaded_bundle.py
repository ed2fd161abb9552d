"""``LoadedBundle``: a bundle with its detector, its validation scores, and the key of its marks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from medanomaly.app.operating_curve import Curve
from medanomaly.app.session.background_work import budget
from medanomaly.app.session.mark_store import Key
from medanomaly.app.session.memory_weight import weight
from medanomaly.app.session.worklist import Item
from medanomaly.edge import Bundle, Detector
from medanomaly.edge.bundle import CARD
from medanomaly.edge.reconstruction import Reconstructor
from medanomaly.files import sha256


class BudgetedDetector(Detector):
    """A detector that reads large images one after the other: nine of 100 million pixels took 4 GB."""

    def _read(self, image: Any, name: str = "image") -> Any:
        with budget.hold(weight(str(image)) if isinstance(image, str | Path) else 0):
            return super()._read(image, name)


class LoadedBundle:
    """A bundle at work.

    Args:
        path: Its folder.
        threads: Threads of inference; None leaves the choice to OpenVINO.

    Raises:
        BundleError: if it cannot be used.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.bundle = Bundle.open(path)
        self.detector = BudgetedDetector(self.bundle, hint="throughput", threads=threads)
        #: Of the card, which names the SHA-256 of graph and weights, the reading and the threshold.
        self.hash = sha256(path / CARD)
        self.curve = Curve.of(self.bundle)

    @cached_property
    def name(self) -> str:
        """What the page calls it: model, data and folder."""
        card = self.bundle.card
        parts = [str((card.get(key) or {}).get("name") or "") for key in ("model", "data")]
        known = " on ".join(part for part in parts if part)
        folder = self.bundle.path.resolve().name
        return f"{known} ({folder})" if known else folder

    @cached_property
    def reconstructor(self) -> Reconstructor | None:
        """Of models that reconstruct; compiled when it is first asked for."""
        return Reconstructor.of(self.bundle)

    def p_value(self, raw: float) -> float | None:
        """Of a raw score among the known normals, in (0, 1]; None if the bundle knows none.

        By the rule ``conformal``'s own record where it has one, else by the validation scores.
        """
        own = self.detector.decider.p_value(raw)
        if own is not None:
            return float(own)
        return self.curve.p_value(raw) if isinstance(self.curve, Curve) else None

    def key(self, item: Item, reader: str = "") -> Key:
        """What a reader's mark on an image belongs to."""
        return Key(self.hash, item.name, item.file.sha256, reader)
