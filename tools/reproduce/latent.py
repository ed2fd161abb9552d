"""Loss curves, and where codes lie in the latent space: statistics alone, never an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde
from tools.reproduce.figures import Tested
from tools.reproduce.plots import CLAIMED, MEASURED, canvas, save

LOGGER = {
    "--trainer.logger.class_path": "lightning.pytorch.loggers.CSVLogger",
    "--trainer.logger.init_args.save_dir": "DIR/log",
}
LOSSES = ("train_loss", "discriminator_loss", "generator_loss")
#: Training codes that give the axes, and codes of each class that are kept for the plot: VGG16 takes a while for each.
FITTED, KEPT = 256, 120


def losses(run: Tested) -> dict[str, list[float]]:
    """Each loss by epoch, from what lightning's CSV logger wrote beside the run."""
    logs = sorted(_top(run.folder).rglob("log/**/metrics.csv"))
    table = pd.read_csv(logs[-1]) if logs else pd.DataFrame()
    columns = [name for name in LOSSES if name in table]
    return {name: [float(f"{v:.4g}") for v in table[name].dropna()] for name in columns}


def _top(folder: Path) -> Path:
    """The folder of the whole cell."""
    return next(path for path in folder.parents if path.name == "run").parent


def codes(run: Tested, seed: int = 0) -> dict[str, list[list[float]]]:
    """Codes of some test images on the two principal axes of training codes, each in its standard deviations.

    Returns:
        ``normal`` and ``abnormal``: lists of two numbers.
    """
    # Here, because a page is written from cells without torch.
    import torch

    from medanomaly.models.module import pixels
    from medanomaly.runs import TestedRun

    loaded, rng = TestedRun.load(run.folder), np.random.default_rng(seed)
    module, network = loaded.datamodule(), loaded.model.model

    @torch.no_grad()
    def some(data: Any, wanted: Any, most: int) -> Any:
        numbers = rng.permutation(np.flatnonzero(wanted.numpy()))[:most]
        batches = [pixels(data.__getitems__(part.tolist())) for part in np.array_split(numbers, -(-len(numbers) // 32))]
        return torch.cat([network.codes(images) for images in batches]).double()  # type: ignore[operator]

    train, test = module.subset("train"), module.subset("test")
    known = some(train, ~train.abnormal, FITTED)
    mean = known.mean(dim=0)
    _, spread, axes = torch.linalg.svd(known - mean, full_matrices=False)
    scale = spread[:2] / (len(known) - 1) ** 0.5
    found = {}
    for name, wanted in (("normal", ~test.abnormal), ("abnormal", test.abnormal)):
        places = ((some(test, wanted, KEPT) - mean) @ axes[:2].T) / scale
        found[name] = [[round(value, 3) for value in row] for row in places.tolist()]
    return found


def histogram(run: Tested, column: str, bins: int = 40) -> dict[str, list[float]]:
    """A part of the score on test images, by class: ``edges`` and the share of images in each bin."""
    rows = run.predictions
    low, high = np.quantile(rows[column], [0.0, 0.99])
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = {"edges": [float(f"{v:.5g}") for v in edges]}
    for name, part in (("normal", rows[~rows["abnormal"]]), ("abnormal", rows[rows["abnormal"]])):
        counts = np.histogram(np.clip(part[column], edges[0], edges[-1]), edges)[0]
        shares[name] = [round(float(v), 5) for v in counts / len(part)]
    return shares


def draw(facts: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """One line a training: loss curves, codes, and the density's histogram.

    Args:
        facts: By row, what cells keep: ``losses``, ``codes`` and ``histogram``.
        path: The PNG.
    """
    figure = canvas(11, 2.6 * len(facts))
    for axes, (row, kept) in zip(figure.subplots(len(facts), 3, squeeze=False), facts.items(), strict=True):
        for name, values in kept["losses"].items():
            axes[0].plot(range(1, len(values) + 1), values, ".-", label=name.replace("_", " "), lw=1.2, ms=4)
        axes[0].set(xlabel="epoch", title=f"{row}: losses", yscale="log")
        axes[0].legend(fontsize=7)
        for name, colour in (("normal", MEASURED), ("abnormal", CLAIMED)):
            points = np.array(kept["codes"][name])
            axes[1].plot(points[:, 0], points[:, 1], ".", ms=3, alpha=0.6, color=colour, label=name)
            edges = kept["histogram"]["edges"]
            axes[2].stairs(kept["histogram"][name], edges, color=colour, label=name)
        _limits(axes[1], [*kept["codes"]["normal"], *kept["codes"]["abnormal"]])
        _contours(axes[1], np.array(kept["codes"]["normal"]))
        axes[1].set(title="codes of test images, density of normal ones", xlabel="sd of training codes")
        axes[2].set(title="density criterion", xlabel="negative log density of the code, nats")
        axes[2].legend(fontsize=7)
    save(figure, path)


def _limits(axes: Any, points: Sequence[Sequence[float]]) -> None:
    """Leave out the furthest two in a hundred, which would squeeze the others."""
    ends = np.quantile(np.array(points), [0.01, 0.99], axis=0)
    room = 0.1 * (ends[1] - ends[0]) + 1e-6
    axes.set_xlim(ends[0, 0] - room[0], ends[1, 0] + room[0])
    axes.set_ylim(ends[0, 1] - room[1], ends[1, 1] + room[1])


def _contours(axes: Any, points: np.ndarray) -> None:
    """Lines of equal density of normal codes, by kernels as wide as Scott's rule says."""
    kernels = gaussian_kde(points.T)
    across, up = (np.linspace(low, high, 60) for low, high in (axes.get_xlim(), axes.get_ylim()))
    grid = np.stack(np.meshgrid(across, up)).reshape(2, -1)
    axes.contour(across, up, kernels(grid).reshape(60, 60), levels=5, colors=MEASURED, linewidths=0.6, alpha=0.7)
