"""The edge runtime against its targets: three networks, three kinds of files, other engines beside it.

    export MEDANOMALY_DATA=DIR MEDANOMALY_WEIGHTS=DIR
    python tools/bench_edge.py [--work DIR] [--repeat N] [--limit N] [--skip memory install] [--json FILE]

Networks are trained for a few steps only, since their speed does not depend on what they have learnt, and exported by
us and by anomalib. Runs and bundles in ``--work`` are used again. Ratios are ours / theirs.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

from medanomaly.commands.demo import config
from medanomaly.imaging import decode
from medanomaly.speed.engine_process import Candidate, EngineError, Worker
from medanomaly.speed.measure import measure

#: A spatial code, and the mean of the error over local variance: the same from one version of the configuration to the
#: next, so that figures stay comparable.
_SPATIAL = {"latent": 4, "error": "relative", "window": 5, "score": "mean"}
#: Compare as the paper does: a deeper layer, position by position.
_PAPER = {"layer": 1, "pool": 1, "relative": "true", "image_weight": 0, "score": "mean"}
#: Name, configuration, image size, options of the model. Images are read as anomalib does: whole, in their own colours.
NETWORKS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("autoencoder 128", "ae_wce.yaml", 128, {"stages": 4, **_SPATIAL}),
    ("autoencoder 256", "ae_wce.yaml", 256, {"stages": 5, **_SPATIAL}),
    ("perceptual 64", "perceptual_wce.yaml", 64, {"stages": 6, **_PAPER}),
)
#: The network of the memory runs: as small as its images.
SMALL: tuple[str, str, int, dict[str, Any]] = ("autoencoder 32", "ae_wce.yaml", 32, {"stages": 3, **_SPATIAL})
RESULT = Path(__file__).with_name("results") / "bench_edge.json"


def data(name: str) -> Path:
    """A folder of the real images."""
    if "MEDANOMALY_DATA" not in os.environ:
        sys.exit("MEDANOMALY_DATA is not set: it names the folder of the images.")
    return Path(os.environ["MEDANOMALY_DATA"]) / name


def trained(network: tuple[str, str, int, dict[str, Any]], work: Path) -> Path:
    """Folder of the network's run; trained for three steps if it is not there."""
    name, file, size, model = network
    root = work / name.replace(" ", "-")
    if not list(root.glob("*/*/latest/run.json")):
        options = {
            "default_root_dir": root,
            "data.init_args.root": data("wce_bleeding"),
            "data.init_args.image_size": size,
            "data.init_args.intensity": "dtype",
            "data.init_args.field_of_view": "none",
            **{f"model.init_args.{key}": value for key, value in model.items()},
            "trainer.max_epochs": 1,
            "trainer.check_val_every_n_epoch": 1,
            "trainer.limit_train_batches": 3,
            "trainer.limit_test_batches": 4,
        }
        command = [sys.executable, "-m", "medanomaly.cli", "train", f"--config={config(file)}"]
        subprocess.run(
            [*command, *(f"--{key}={value}" for key, value in options.items())],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return next(root.glob("*/*/latest")).resolve()


def exported(run: Path, out: Path, *options: str) -> Path | None:
    """A bundle of the run; None if this version cannot make it."""
    if not (out / "card.json").is_file():
        command = [sys.executable, "-m", "medanomaly.cli", "export", f"--run={run}", f"--out={out}"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"not exported: {' '.join(options)}: {done.stderr.strip().splitlines()[-1]}")
            return None
    return out


def exported_by_anomalib(run: Path, out: Path) -> Path:
    """anomalib's exports to OpenVINO and torch, with the resize in its pre-processor, as anomalib's own models have."""
    if not (out / "weights" / "torch" / "model.pt").is_file():
        from anomalib.pre_processing import PreProcessor
        from torchvision.transforms.v2 import Resize

        from medanomaly.runs import TestedRun

        loaded = TestedRun.load(run)
        model = loaded.model.eval()
        model.pre_processor = PreProcessor(transform=Resize(loaded.reading.size, antialias=True))
        model.to_openvino(out)
        model.to_torch(out)
    return out


def films(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Mammograms of 1024 px: as JPEG, made here, and as they come, PGM; 25 names each."""
    sources = sorted(data("mias/full_pgm_sample").glob("*.pgm"))
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        cv2.imwrite(str(folder / f"{source.stem}.jpg"), decode(source)[:, :, 0], [cv2.IMWRITE_JPEG_QUALITY, 90])
    yield "film JPEG 1024", sorted(folder.glob("*.jpg")) * 25
    yield "film PGM 1024", sources * 25


def memory(bundle: Path, folder: Path, counts: Iterable[int]) -> dict[str, Any]:
    """Peak memory in bytes of a fresh process that streams small images, for each of the ``counts``."""
    images = sorted(map(str, data("malaria_cells").glob("*/*.png")))
    spec = {"engine": "ours", "bundle": str(bundle), "hint": "throughput"}
    peaks: dict[str, Any] = {}
    for count in counts:
        with Worker(Candidate("ours", spec, folder), images[0]) as worker:
            done = worker.ask("stream", images, count=count)
        peaks[str(count)] = {"peak": done["peak"], "images_per_second": round(count / done["wall"])}
        print(
            f"{count:>8} images: peak {done['peak'] / 2**20:.1f} MiB, {count / done['wall']:.0f} images/s", flush=True
        )
    return peaks


def install(folder: Path) -> dict[str, Any]:
    """Bytes on disk of a fresh base install, and of the environment that runs this."""
    repository, base = Path(__file__).resolve().parents[1], folder / "base"
    subprocess.run([sys.executable, "-m", "venv", base], check=True)
    subprocess.run([base / "bin" / "pip", "install", "-q", str(repository)], check=True)
    listed = subprocess.run([base / "bin" / "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    names = sorted(package["name"] for package in json.loads(listed.stdout))
    left_out = ("torch", "anomalib", "lightning", "pandas", "matplotlib")
    here, there = size(base), size(Path(sys.prefix))
    print(f"install: base {here / 2**20:.0f} MiB, training {there / 2**20:.0f} MiB, ratio {here / there:.3f}")
    return {
        "base_bytes": here,
        "training_bytes": there,
        "ratio": here / there,
        "packages": names,
        "unwanted": [name for name in names if name in left_out],
    }


def size(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def cell(record: dict[str, Any], engine: str, figure: str) -> str:
    """A ratio for the table."""
    ratio = record["against"].get(engine, {}).get("ratios", {}).get(figure)
    return "-" if ratio is None else f"{ratio:.2f}"


def row(record: dict[str, Any]) -> str:
    """A line of the table, in Markdown."""
    bound, ours = record["bound"], record["ours"]
    cells = [
        record["network"],
        record["precision"],
        record["files"],
        cell(record, "anomalib-openvino-f32", "images_per_second"),
        cell(record, "anomalib-openvino", "images_per_second"),
        cell(record, "anomalib-torch", "images_per_second"),
        cell(record, "onnxruntime", "images_per_second"),
        f"{bound['ratio']:.2f}",
        f"{bound['cpu_ratio']:.2f}",
        f"{bound['benchmark_app']['ratio']:.2f}" if "ratio" in bound.get("benchmark_app", {}) else "-",
        cell(record, "anomalib-openvino-f32", "cold_start"),
        f"{ours['images_per_second']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| network | precision | files | OpenVINOInferencer f32 | its default | TorchInferencer | ONNX Runtime | of the bound | \
of the bound, CPU | benchmark_app | cold start | images/s |
|---|---|---|---|---|---|---|---|---|---|---|---|
| target | | 224 px JPEG; film JPEG | ≥ 2; ≥ 8 | INT8: ≥ 5 | | | ≥ 0.9 | ≥ 0.9 | ≥ 0.9 | ≤ 0.125 | |"""


def main() -> int:
    """Train, export, measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="Folder for runs and bundles (default: a temporary one).")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--against", nargs="+", default=None, help="Engines, as for `medanomaly speed` (default: all).")
    parser.add_argument("--skip", nargs="*", default=[], choices=("speed", "int8", "memory", "install"))
    parser.add_argument("--json", type=Path, default=RESULT, help="Write the records here.")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    # anomalib's torch export is a pickle; these have just been written here.
    os.environ["TRUST_REMOTE_CODE"] = "1"
    kept: dict[str, Any] = json.loads(args.json.read_text(encoding="utf-8")) if args.json.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        work = (args.work or Path(temporary)).absolute()
        if "speed" not in args.skip:
            kept["speed"] = []
            for record in speed(work, args):
                kept["speed"].append(record)
                save(args.json, kept)
        if "memory" not in args.skip:
            bundle = exported(trained(SMALL, work), work / "bundle-small")
            if bundle is None:
                raise EngineError("the small network was not exported")
            kept["memory"] = memory(bundle, work, (1_000, 10_000, 100_000))
            save(args.json, kept)
        if "install" not in args.skip:
            kept["install"] = install(Path(temporary))
            save(args.json, kept)
    return 0


def save(file: Path, kept: dict[str, Any]) -> None:
    """Write what is known so far."""
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def speed(work: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One record for each network, precision and kind of files; prints each as a line."""
    sets = [("224 px JPEG", sorted(data("wce_bleeding").glob("*normal/*.jp*g"))), *films(work / "films")]
    print(HEAD, flush=True)
    for network in NETWORKS:
        run, name = trained(network, work), network[0].replace(" ", "-")
        bundles = [exported(run, work / f"bundle-{name}", "--onnx")]
        if "int8" not in args.skip:
            bundles.append(exported(run, work / f"bundle-{name}-int8", "--precision=int8"))
        theirs = exported_by_anomalib(run, work / f"anomalib-{name}")
        for bundle in bundles:
            for files, paths in sets if bundle else []:
                record = measure(str(bundle), paths, args.repeat, args.limit, args.against, theirs)
                record = {"network": network[0], "files": files, **record, "bundle": None}
                print(row(record), flush=True)
                yield record


if __name__ == "__main__":
    sys.exit(main())
