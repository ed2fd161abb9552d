"""``MedMnist``: small standard sets, for studies and quick trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly.data import MedicalDataModule
from medanomaly.imaging import decode
from medanomaly_medmnist.archives import Part, has_idx, read_idx, read_npz
from medanomaly_medmnist.labels import HEALTHY, LABELS, SIZES


class MedMnist(MedicalDataModule):
    """Any 2-D MedMNIST set (Yang et al., Scientific Data 2023), or MNIST and Fashion-MNIST as one-vs-rest.

    MedMNIST's official splits are kept. MNIST has no validation part, so the last tenth of a seeded shuffle of its
    training images becomes one. Patients are not known in these sets: each image is its own group.

    Args:
        name: The archive's name: ``pneumoniamnist``, ``octmnist_64``, … (28 px without a number; 64, 128 and 224 with
            it), ``mnist``, ``fashion_mnist``.
        normal: Labels that count as normal, by the publisher's names (:data:`medanomaly_medmnist.labels.LABELS`) or
            class numbers, such as ``["0"]`` for one class against the rest. By default the set's healthy class; sets
            without one, such as organs or digits, need an answer here.
        image_size: By default the archive's own size.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`; ``root`` holds ``<name>.npz`` or
            the ``*-ubyte.gz`` files. Where it does not and the package ``medmnist`` is installed, that one downloads.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        name: str = "pneumoniamnist",
        normal: list[str] | str | None = None,
        image_size: int | tuple[int, int] | None = None,
        **kwargs,
    ) -> None:
        base, _, number = name.partition("_")
        if base in LABELS and number and number not in SIZES:
            raise ValueError(f"MedMNIST has {base} in 28 px and as {base}_64, _128 and _224, not as '{name}'")
        # The folder is the set's: pneumoniamnist_64.npz lies beside pneumoniamnist.npz.
        self.folder = name if name == "fashion_mnist" else base
        self.expects = f"{name}.npz of MedMNIST (https://medmnist.com), or MNIST's four *-ubyte.gz files."
        super().__init__(
            root=root or super().default_root() / self.folder,
            normal=_by_name(normal, base),
            image_size=image_size or (int(number) if number in SIZES else 28),
            **kwargs,
        )
        self.set_name = name
        self._parts: dict[str, Part] = {}

    def samples(self, root: Path) -> pd.DataFrame:
        """List the images as ``<archive>#<split>/<number>``."""
        archive = root / f"{self.set_name}.npz"
        if has_idx(root):
            self._parts, archive = self._with_validation(read_idx(root)), root / "idx"
        else:
            self._parts = read_npz(archive, self.set_name)
        rows = [
            (f"{archive}#{split}/{i}", label, split, f"{split}/{i}")
            for split, part in self._parts.items()
            for i, label in enumerate(part.labels)
        ]
        return pd.DataFrame(rows, columns=["image_path", "label", "split", "group"])

    def decode(self, image_path: str) -> np.ndarray:
        """Take the image out of the archive: (H, W, 3) uint8."""
        _, _, address = image_path.rpartition("#")
        split, _, index = address.partition("/")
        if split not in self._parts:
            return decode(image_path)
        image = self._parts[split].images[int(index)]
        return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)

    def _with_validation(self, parts: dict[str, Part]) -> dict[str, Part]:
        train = parts["train"]
        order = np.random.default_rng(int(self.hparams["seed"])).permutation(len(train.labels))
        cut = len(order) * 9 // 10

        def pick(chosen: np.ndarray) -> Part:
            chosen = np.sort(chosen)
            return Part(train.images[chosen], [train.labels[i] for i in chosen])

        return {"train": pick(order[:cut]), "val": pick(order[cut:]), "test": parts["test"]}

    def prepare(self, root: Path) -> None:
        """Download the archive where it is missing, if the package ``medmnist`` is there to do it."""
        if has_idx(root) or (root / f"{self.set_name}.npz").is_file():
            return
        try:
            import medmnist
        except ImportError:
            raise self.missing(
                f"has no file '{self.set_name}.npz', and the package medmnist that could download it is not "
                "installed (pip install 'medanomaly[medmnist]')"
            ) from None
        root.mkdir(parents=True, exist_ok=True)
        base, _, size = self.set_name.partition("_")
        info = medmnist.INFO.get(base)
        if info is None:
            raise self.missing(f"has no file '{self.set_name}.npz', and medmnist knows no set '{base}'")
        try:
            getattr(medmnist, info["python_class"])(
                split="train", download=True, root=str(root), size=int(size) if size else 28
            )
        except Exception as error:
            raise self.missing(f"has no file '{self.set_name}.npz', and its download failed ({error})") from error


def _by_name(normal: list[str] | str | None, base: str) -> list[str]:
    """Class names for what the user wrote: a number stands for its class, nothing for the healthy class."""
    if normal is None:
        normal = HEALTHY.get(base, "normal")
    # ChestMNIST's numbers are findings, not classes of their own; RetinaMNIST's names are numbers.
    names = LABELS.get(base, ()) if base != "chestmnist" else ()
    return [
        names[int(one)] if str(one).isdigit() and int(one) < len(names) else str(one)
        for one in ([normal] if isinstance(normal, str) else normal)
    ]
