"""Training images per second: through our data module, in a bare PyTorch loop, and through anomalib's ``Folder``.

    python tools/bench_data.py [--sizes 28 64 128] [--json FILE]
    python tools/bench_data.py --cache [--sizes 28 64 128]     what checking the files of ``cache_dir`` costs

All three train the same network with the same optimiser and batch size on the same number of drawn grey images. Rounds
are interleaved, since other work on the machine slows all of them alike; the first epoch of each round (decoding,
warm-up) is not counted; figures are medians, and the ratios are medians of each round's own ratio.

With ``--cache``: seconds for each GiB of kept arrays to read drawn colour images and keep them, to open what was kept,
and of that to compare the SHA-256. The files are in the page cache by then; from a disk, add the time to read them.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.pre_processing import PreProcessor
from lightning import Callback
from torchvision.transforms.v2 import Resize

from medanomaly.data.cache_files import load
from medanomaly.registry import get

BATCH = 64
#: For each size: stages and width of the network, training images, and how much larger the files are. The network of
#: 28 px has two stages; a stage more for each doubling keeps the code at about 7 × 7.
SETTINGS = {28: (2, 16, 1280, 28), 64: (3, 4, 512, 80), 128: (4, 4, 192, 160)}
ROUNDS = 3
#: Bytes of images that ``--cache`` reads at each size.
CACHE_BYTES = 1 << 27
#: Epochs that are counted, after the first: of ours and the bare loop, and of anomalib's Folder, which takes longer.
EPOCHS, FOLDER_EPOCHS = 2, 1
ENGINE: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}


class Clock(Callback):
    """Seconds of each training epoch, without what lightning does between epochs."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer, pl_module) -> None:  # noqa: ARG002
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module) -> None:  # noqa: ARG002
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)


def draw(folder: Path, number: int, size: int, colour: bool = False) -> None:
    """Write smooth random images as ``train/<i>.png``, and two for validation and test, which are not used."""
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split,mask"]
    for split, count in (("train", number), ("val", 2), ("test", 2)):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            plane = cv2.resize(rng.random((6, 6), dtype=np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
            shape = (size, size, 3) if colour else (size, size)
            noisy = np.clip(plane.reshape(size, size, *[1] * colour) + 0.03 * rng.standard_normal(shape), 0, 1)
            name = f"{split}/{i}.png"
            cv2.imwrite(str(folder / name), (noisy * 255).astype(np.uint8))
            lines.append(f"{name},normal,{split}{i},{split},")
    (folder / "split.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def autoencoder(size: int, **kwargs):
    """The plugin's model, of the size's setting."""
    stages, width, _, _ = SETTINGS[size]
    return get("model", "Autoencoder")(stages=stages, width=width, latent=4, visualizer=False, **kwargs)


def trained(model, module, epochs: int, work: Path, bar: bool) -> list[float]:
    """Seconds of each epoch but the first in anomalib's engine."""
    clock = Clock()
    engine = Engine(
        **ENGINE, max_epochs=epochs + 1, enable_progress_bar=bar, callbacks=[clock], default_root_dir=str(work)
    )
    engine.fit(model, datamodule=module)
    return clock.seconds[1:]


def ours(folder: Path, size: int, work: Path, bar: bool) -> list[float]:
    """Our data module: the plugin ``Table``, as anyone would use it."""
    module = get("data", "Table")(root=folder, image_size=size, train_batch_size=BATCH)
    return trained(autoencoder(size), module, EPOCHS, work, bar)


def bare(folder: Path, size: int) -> list[float]:
    """A loop over one tensor: no data loader, no lightning, no batch object."""
    module = get("data", "Table")(root=folder, image_size=size)
    data = module.subset("train")
    images = data.__getitems__(list(range(len(data)))).image.as_subclass(torch.Tensor)
    plugin = autoencoder(size)
    model, optimiser = plugin.model.train(), plugin.configure_optimizers()
    seconds = []
    for _ in range(EPOCHS + 1):
        start = time.perf_counter()
        for indices in torch.randperm(len(images)).split(BATCH):
            batch = images[indices]
            optimiser.zero_grad()
            model.training_loss(batch, model.logits(batch)).backward()
            optimiser.step()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def folder_of_anomalib(folder: Path, size: int, work: Path, bar: bool) -> list[float]:
    """anomalib's ``Folder`` with the same model, resizing as anomalib does, in its pre-processor."""
    module = Folder(
        name="bench",
        root=folder,
        normal_dir="train",
        normal_test_dir="test",
        train_batch_size=BATCH,
        eval_batch_size=BATCH,
        num_workers=0,
        val_split_mode="same_as_test",
        test_split_mode="from_dir",
    )
    model = autoencoder(size)
    model.pre_processor = PreProcessor(transform=Resize((size, size), antialias=True))
    return trained(model, module, FOLDER_EPOCHS, work, bar)


def measure(sizes: list[int], rounds: int, bar: bool) -> Iterator[dict]:
    """One record for each size, with images per second and the ratios of each round."""
    for size in sizes:
        number, stored = SETTINGS[size][2:]
        rates: dict[str, list[float]] = {"ours": [], "bare": [], "Folder": []}
        with tempfile.TemporaryDirectory() as name:
            folder, work = Path(name, "images"), Path(name, "results")
            draw(folder, number, stored)
            for turn in range(rounds):
                runs = {
                    "bare": lambda: bare(folder, size),  # noqa: B023 (called at once)
                    "ours": lambda: ours(folder, size, work, bar),  # noqa: B023
                    "Folder": lambda: folder_of_anomalib(folder, size, work, bar),  # noqa: B023
                }
                # The order alternates, so that a machine that slows down steadily favours none.
                for kind in list(runs)[:: 1 if turn % 2 == 0 else -1]:
                    rates[kind].append(number / statistics.median(runs[kind]()))
        yield {
            "size": size,
            "images": number,
            "file_size": stored,
            **{f"{kind}_per_second": round(statistics.median(values)) for kind, values in rates.items()},
            "ours_to_bare": _ratio(rates["ours"], rates["bare"]),
            "ours_to_folder": _ratio(rates["ours"], rates["Folder"]),
        }


def cache_cost(size: int, rounds: int) -> dict:
    """Seconds a GiB of reading images and keeping them, of opening what was kept, and of the digests alone."""
    number, stored = int(CACHE_BYTES / (12 * size * size)), SETTINGS[size][3]
    seconds: dict[str, list[float]] = {"read": [], "opened": [], "digests": []}
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name, "images"), Path(name, "cache")
        draw(folder, number, stored, colour=True)
        for _ in range(rounds):
            for kind in ("read", "opened"):
                module = get("data", "Table")(root=folder, image_size=size, cache_mb=0, cache_dir=cache)
                images = module.subset("train").images
                seconds[kind].append(_timed(images.fill))
            (kept,) = cache.iterdir()
            checked, unchecked = (
                _timed(partial(load, kept, number, (size, size), False, verify=verify)) for verify in (True, False)
            )
            seconds["digests"].append(checked - unchecked)
            shutil.rmtree(cache)
    gib = number * 12 * size * size / 2**30
    return {
        "size": size,
        "images": number,
        "gib": round(gib, 3),
        **{f"{kind}_per_gib": round(statistics.median(values) / gib, 2) for kind, values in seconds.items()},
        "digests_to_read": _ratio(seconds["digests"], seconds["read"], 3),
    }


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ratio(above: list[float], below: list[float], digits: int = 2) -> float:
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), digits)


def main() -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=0, help="Torch threads; 0 leaves torch's own choice.")
    parser.add_argument("--bar", action="store_true", help="Show lightning's progress bar, and so measure it too.")
    parser.add_argument("--json", type=Path, help="Write the records here.")
    parser.add_argument("--cache", action="store_true", help="Measure what checking the files of cache_dir costs.")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    for name in ("lightning", "lightning.pytorch", "anomalib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if args.cache:
        return _main_cache(args)
    start = time.perf_counter()
    records = []
    print(f"{'px':>4} {'ours':>8} {'bare':>8} {'Folder':>8}   ours/bare  ours/Folder   (training images per second)")
    for r in measure(args.sizes, args.rounds, args.bar):
        records.append(r)
        print(
            f"{r['size']:>4} {r['ours_per_second']:>8} {r['bare_per_second']:>8} {r['Folder_per_second']:>8}"
            f"   {r['ours_to_bare']:>9.2f}  {r['ours_to_folder']:>11.2f}",
            flush=True,
        )
    print(f"{time.perf_counter() - start:.0f} s, {torch.get_num_threads()} torch threads, batch {BATCH}")
    if args.json:
        record = {"threads": torch.get_num_threads(), "batch": BATCH, "rounds": args.rounds, "results": records}
        args.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


def _main_cache(args: argparse.Namespace) -> int:
    print(f"{'px':>4} {'images':>7} {'GiB':>5} {'read':>7} {'opened':>7} {'digests':>8}   digests/read   (s a GiB)")
    records = []
    for size in args.sizes:
        r = cache_cost(size, args.rounds)
        records.append(r)
        print(
            f"{size:>4} {r['images']:>7} {r['gib']:>5.2f} {r['read_per_gib']:>7.2f} {r['opened_per_gib']:>7.2f} "
            f"{r['digests_per_gib']:>8.2f}   {r['digests_to_read']:>12.3f}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps({"rounds": args.rounds, "cache": records}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
