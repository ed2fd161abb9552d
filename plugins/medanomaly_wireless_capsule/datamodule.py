"""``WirelessCapsule``: the WCEBleedGen frames, with splits that keep near-identical frames together."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medanomaly.data import MedicalDataModule, TableError, read_csv, split_by_group
from medanomaly.data.find_files import directory, images, numbers, paired_masks

#: Where frames and masks lie in the publisher's archive and in the two-folder mirrors, most specific first.
NORMAL = ("non-bleeding/images", "non-bleeding", "normal/images", "normal")
BLEEDING = ("bleeding/images", "bleeding", "abnormal/images", "abnormal")
MASKS = ("annotations", "annotation", "masks", "mask")


class WirelessCapsule(MedicalDataModule):
    """Capsule-endoscopy frames, bleeding or not (WCEBleedGen; Handa et al., Zenodo 10156571, CC BY 4.0).

    The frames come from a few videos of several capsules. The shape of the field of view, sharpness and colour cast
    tell the capsule, and with it the class: so the centre is cropped by default, inside every capsule's view.

    Two layouts are known: a ``split.csv`` is used where there is one; else folders of bleeding and other frames, as the
    publisher's archive and its mirrors have them, are dealt by blocks of consecutive frame numbers.

    Args:
        split: ``main`` (``split.csv``: every capsule in every part) or ``unseen_capsule``
            (``split_unseen_capsule.csv``: some capsules only in test; harder, the figure for robustness).
        field_of_view: ``crop:0.67`` by default, the centred 150 of 224 pixels. ``none`` shows the whole frame.
        group_frames: For the layout of folders: how many consecutive frame numbers of a class stay together, because
            neighbours in a video are nearly the same picture. 1 makes each frame its own group.
        fractions: For the layout of folders: shares of train, val and test among the blocks.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "wce_bleeding"
    expects = (
        "either split.csv (path,label,group,split,mask) and the images it names, or WCEBleedGen as published: "
        "bleeding/Images, bleeding/Annotations and non-bleeding/images. Get it from "
        "https://zenodo.org/records/10156571 and unpack it there."
    )
    mask_note = (
        "The masks are boxes around the blood, drawn generously: much healthy mucosa is marked, so pixel AUROC and "
        "AUPRO are lower than against exact masks."
    )
    masks_enclose = True
    splits = {"main": "split.csv", "unseen_capsule": "split_unseen_capsule.csv"}  # noqa: RUF012

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "main",
        field_of_view: str = "crop:0.67",
        group_frames: int = 30,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        **kwargs,
    ) -> None:
        super().__init__(root=root, field_of_view=field_of_view, **kwargs)
        if split not in self.splits:
            raise ValueError(f"split must be one of {', '.join(self.splits)}, not '{split}'")
        if group_frames < 1:
            raise ValueError(f"group_frames must be at least 1, not {group_frames}")
        self.split = split
        self.group_frames = group_frames
        self.fractions = fractions

    def samples(self, root: Path) -> pd.DataFrame:
        """Read the chosen split file, or list the publisher's folders and deal blocks of frames."""
        name = self.splits[self.split]
        if (root / name).is_file():
            return read_csv(root, name, self.normal)
        if self.split != "main":
            raise self.missing(f"has no file '{name}'")
        top = directory(root, ("WCEBleedGen",)) or root
        normal, bleeding = directory(top, NORMAL), directory(top, BLEEDING)
        if normal is None or bleeding is None:
            raise self.missing(f"has no file '{name}', nor folders of bleeding and of other frames")
        # Masks lie beside the frames' folder, or inside it where the frames have none of their own.
        masks = directory(bleeding, MASKS) or directory(bleeding.parent, MASKS)
        frames = [path for path in images(bleeding) if masks is None or not path.is_relative_to(masks)]
        others = directory(normal, MASKS)  # all black: a frame without blood has nothing to mark
        healthy = [path for path in images(normal) if others is None or not path.is_relative_to(others)]
        table = pd.DataFrame(
            {
                "image_path": [str(path) for path in (*healthy, *frames)],
                "label": ["normal"] * len(healthy) + ["bleeding"] * len(frames),
                "group": [self._block("normal", p) for p in healthy] + [self._block("bleeding", p) for p in frames],
                "mask_path": [""] * len(healthy) + (paired_masks(frames, masks) if masks else [""] * len(frames)),
            }
        )
        return split_by_group(table, self.normal, self.fractions, self.hparams["seed"])

    def _block(self, label: str, path: Path) -> str:
        if self.group_frames == 1:
            return f"{label}-{path.stem}"
        found = numbers(path.name)
        if not found:
            raise TableError(
                f"{path}: has no frame number in its name, so neighbours cannot be kept together. "
                "Write a split.csv with a group for each run of frames, or set group_frames to 1."
            )
        return f"{label}-{found[-1] // self.group_frames}"
