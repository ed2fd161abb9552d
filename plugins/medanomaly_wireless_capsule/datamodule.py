"""``WirelessCapsule``: the WCEBleedGen frames, with splits that keep near-identical frames together."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.table import read_csv


class WirelessCapsule(MedicalDataModule):
    """Capsule-endoscopy frames, bleeding or not (WCEBleedGen; Handa et al., Zenodo 10156571, CC BY 4.0).

    The frames come from a few videos of several capsules. The shape of the field of view, sharpness and colour cast
    tell the capsule, and with it the class: so the centre is cropped by default, inside every capsule's view.

    Args:
        split: ``main`` (``split.csv``: every capsule in every part) or ``unseen_capsule``
            (``split_unseen_capsule.csv``: some capsules only in test; harder, the figure for robustness).
        field_of_view: ``crop:0.67`` by default, the centred 150 of 224 pixels. ``none`` shows the whole frame.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "wce_bleeding"
    expects = (
        "split.csv (path,label,group,split,mask), normal/, abnormal/ and box_masks/ of WCEBleedGen. "
        "Get the frames from https://zenodo.org/records/10156571 and write one row a frame into split.csv; "
        "the group is the run of near-identical frames that must stay together."
    )
    mask_note = (
        "The masks are boxes around the blood, drawn generously: much healthy mucosa is marked, so pixel AUROC and "
        "AUPRO are lower than against exact masks."
    )
    splits = {"main": "split.csv", "unseen_capsule": "split_unseen_capsule.csv"}  # noqa: RUF012

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "main",
        field_of_view: str = "crop:0.67",
        **kwargs,
    ) -> None:
        super().__init__(root=root, field_of_view=field_of_view, **kwargs)
        if split not in self.splits:
            raise ValueError(f"split must be one of {', '.join(self.splits)}, not '{split}'")
        self.split = split

    def samples(self, root: Path) -> pd.DataFrame:
        """Read the chosen split file."""
        name = self.splits[self.split]
        if not (root / name).is_file():
            raise self.missing(f"has no file '{name}'")
        return read_csv(root, name)
