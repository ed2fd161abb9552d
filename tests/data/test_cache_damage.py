"""What a disk, a copy or another program did to a kept image is noticed, said, and read anew: never trained on."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import write_image
from torchvision.transforms import v2

import medanomaly.data as data
from medanomaly.data import cache_files
from medanomaly.data.image_cache import CachedImages
from medanomaly.imaging import ImageError

SIZE, NUMBER = (40, 30), 9


class Reader:
    """Images by number, drawn by a seed; counts what is read. ``bad`` numbers cannot be."""

    def __init__(self, seed=0, colour=True, bad=()):
        rng = np.random.default_rng(seed)
        self.images = rng.random((NUMBER, *SIZE, 3 if colour else 1), dtype=np.float32) * np.ones(3, np.float32)
        self.bad, self.count = bad, 0

    def __call__(self, i):
        self.count += 1
        if i in self.bad:
            raise ImageError(f"{i}.png: is broken")
        return self.images[i], self.images[i][:, :, 0] > 0.5


def opened(reader, folder, key="key"):
    return CachedImages(reader, NUMBER, SIZE, True, 0, folder, lambda: key)


def right(reader, images):
    got, masks = images.fetch(list(range(NUMBER)))
    np.testing.assert_array_equal(got.permute(0, 2, 3, 1).numpy(), reader.images)
    np.testing.assert_array_equal(masks.numpy(), reader.images[..., 0] > 0.5)


def overwrite(file: Path, offset: int, content: bytes | None = None) -> None:
    """Write into a file; by default turn a single bit."""
    with file.open("r+b") as opened_file:
        offset %= file.stat().st_size
        opened_file.seek(offset)
        content = content or bytes([opened_file.read(1)[0] ^ 1])
        opened_file.seek(offset)
        opened_file.write(content)


def mended(reader, folder, caplog, name):
    """The right images come back, one warning names the file, and the next opening finds nothing to say."""
    caplog.clear()
    before = reader.count
    with caplog.at_level(logging.WARNING):
        right(reader, opened(reader, folder))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1, told
    assert name in told[0]
    assert "read anew" in told[0]
    assert reader.count == before + NUMBER
    caplog.clear()
    right(reader, opened(reader, folder))
    assert (reader.count, caplog.records) == (before + NUMBER, [])
    assert [path.name for path in folder.iterdir()] == ["key"]


@pytest.mark.parametrize("offset", [128, 200, 5000, -4096, -1], ids=str)
@pytest.mark.parametrize("content", [b"\xff" * 4096, None], ids=["4 KiB", "a bit"])
@pytest.mark.parametrize("name", ["images3.npy", "images1.npy", "masks.npy"])
def test_a_file_overwritten_inside(tmp_path, caplog, name, content, offset):
    reader = Reader(colour=name != "images1.npy")
    right(reader, opened(reader, tmp_path))
    overwrite(tmp_path / "key" / name, offset, content[:-offset] if content and offset < 0 else content)
    mended(reader, tmp_path, caplog, str(tmp_path / "key" / name))


@pytest.mark.parametrize("name", ["images3.npy", "masks.npy"])
@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "header", "another's", "the same but for one bit"])
def test_a_file_that_is_another(tmp_path, caplog, name, damage):
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    file = tmp_path / "key" / name
    if damage == "cut":
        os.truncate(file, file.stat().st_size - 1)
    elif damage == "longer":
        file.write_bytes(file.read_bytes() + b"\0")
    elif damage == "gone":
        file.unlink()
    elif damage == "header":
        file.write_bytes(file.read_bytes().replace(b"'fortran_order': False", b"'fortran_order': True ", 1))
    elif damage == "another's":  # of equal shape and type
        opened(Reader(seed=1), tmp_path / "other").fill()
        (tmp_path / "other" / "key" / name).replace(file)
        shutil.rmtree(tmp_path / "other")
    else:
        content = bytearray(file.read_bytes())
        content[-7] ^= 1
        file.write_bytes(content)
    mended(reader, tmp_path, caplog, name)


@pytest.mark.parametrize("damage", ["errors", "channels", "digest", "key", "number", "list", "no text", "cut"])
def test_a_record_that_was_altered(tmp_path, caplog, damage):
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    path = tmp_path / "key" / "cache.json"
    record = json.loads(path.read_text())
    if damage == "errors":  # a good image would be left out as unreadable
        record["errors"] = {"2": "2.png: is broken"}
    elif damage == "channels":
        record["channels"] = 1
    elif damage == "digest":  # an altered file and its own digest: not what was written
        overwrite(tmp_path / "key" / "images3.npy", 500, b"\xff" * 100)
        record["files"]["images3.npy"]["sha256"] = cache_files.sha256(tmp_path / "key" / "images3.npy")
    elif damage == "key":
        record["key"] = "another"
    text = {"number": "3", "list": "[1]", "no text": "\xff", "cut": path.read_text()[:-9]}.get(damage)
    path.write_bytes((json.dumps(record) if text is None else text).encode("latin-1"))
    mended(reader, tmp_path, caplog, "cache.json")


def test_a_folder_under_another_s_name(tmp_path, caplog):
    other, reader = Reader(seed=1), Reader()
    right(other, opened(other, tmp_path, "other"))
    (tmp_path / "other").rename(tmp_path / "key")
    mended(reader, tmp_path, caplog, "cache.json")


def test_files_of_the_first_version_have_no_digests(tmp_path, caplog):
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    (tmp_path / "key" / "cache.json").write_text(json.dumps({"channels": 3, "errors": {}}))
    overwrite(tmp_path / "key" / "images3.npy", 500, b"\xff" * 100)
    mended(reader, tmp_path, caplog, "no digests")


def test_images_left_out_are_remembered_and_no_others(tmp_path):
    assert set(opened(Reader(bad=(2,)), tmp_path).verify()) == {2}
    again = Reader(bad=(2,))
    assert set(opened(again, tmp_path).verify()) == {2}
    assert again.count == 0
    overwrite(tmp_path / "key" / "masks.npy", 300)
    assert set(opened(again, tmp_path).verify()) == {2}
    assert again.count == NUMBER


def test_a_folder_that_cannot_be_mended_is_not_used(tmp_path, caplog, monkeypatch):
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    overwrite(tmp_path / "key" / "images3.npy", 500, b"\xff" * 100)

    def read_only(place):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("medanomaly.data.image_cache.throw_away", read_only)
    images = opened(reader, tmp_path)
    right(reader, images)
    right(reader, images)
    assert not images.ready
    assert "is not used" in caplog.text


def table(root: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["path,label,group,split,mask"]
    for i in range(12):
        split = ("train", "val", "test")[i // 4]
        sick = split != "train" and i % 2
        write_image(root / f"{i}.png", rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
        write_image(root / "masks" / f"{i}.png", (rng.random((40, 40)) < 0.3).astype(np.uint8) * 255)
        lines.append(f"{i}.png,{'sick' if sick else 'normal'},p{i},{split},{f'masks/{i}.png' if sick else ''}")
    (root / "split.csv").write_text("\n".join(lines) + "\n")
    return root


def module(root: Path, **options):
    made = data.Table(root=root / "set", image_size=32, cache_mb=0, cache_dir=root / "cache", **options)
    made.setup()
    return made


def test_training_never_sees_what_overwrote_it(tmp_path, caplog):
    table(tmp_path / "set")
    for made in (module(tmp_path), module(tmp_path)):
        expected = [made.train_data.__getitems__([0, 1, 2, 3]).image, made.test_data.__getitems__([0, 1, 2, 3]).gt_mask]
    files = sorted((tmp_path / "cache").rglob("*.npy"))
    assert [file.name for file in files].count("images3.npy") == 2
    for file in files:
        overwrite(file, file.stat().st_size // 2, b"\xff" * 1024)
    again = module(tmp_path)
    assert torch.equal(again.train_data.__getitems__([0, 1, 2, 3]).image, expected[0])
    assert torch.equal(again.test_data.__getitems__([0, 1, 2, 3]).gt_mask, expected[1])
    assert sum("altered or damaged" in record.getMessage() for record in caplog.records) == 2


def test_a_file_is_checked_once_an_opening_whatever_the_workers(tmp_path, monkeypatch):
    table(tmp_path / "set")
    made = module(tmp_path)
    made.train_data.images.fill()
    log = tmp_path / "checked"  # a file: what worker processes do is counted too
    digest = cache_files.sha256

    def counted(path):
        with log.open("a") as lines:
            lines.write(f"{path.name}\n")
        return digest(path)

    monkeypatch.setattr(cache_files, "sha256", counted)
    made = module(tmp_path, num_workers=2, train_batch_size=1, train_augmentations=v2.Compose([v2.Identity()]))
    for _ in range(2):
        loader = made.train_dataloader()
        assert loader.num_workers == 2
        assert len(list(loader)) == 4
    assert log.read_text().split() == ["images3.npy"]


SLOW = """
import sys, time
from pathlib import Path
from tests.data.test_cache_damage import Reader, opened
class Slow(Reader):
    def __call__(self, i):
        if i == 6:
            print("half", flush=True)
            time.sleep(60)
        return super().__call__(i)
opened(Slow(), Path(sys.argv[1])).fill()
"""


def test_a_kill_while_writing_leaves_nothing_to_be_read(tmp_path, caplog):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "half"
        time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["part-"]
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    assert (reader.count, caplog.records) == (NUMBER, [])


def test_what_a_killed_run_left_goes_when_nobody_writes_it_any_more(tmp_path):
    old, young, other = tmp_path / "part-old", tmp_path / "part-young", tmp_path / "apart"
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "images3.npy").write_bytes(b"x")
    for folder in (old, other):
        os.utime(folder, (time.time() - 7 * 3600,) * 2)
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["apart", "key", "part-young"]


def _mend(folder: Path, queue) -> None:
    reader = Reader()
    images = opened(reader, folder)
    right(reader, images)
    queue.put(True)


def test_processes_that_meet_damage_together_all_get_the_images(tmp_path):
    reader = Reader()
    right(reader, opened(reader, tmp_path))
    overwrite(tmp_path / "key" / "images3.npy", 700, b"\xff" * 64)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_mend, args=(tmp_path, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [True] * 4
    for worker in workers:
        worker.join()
    right(reader, opened(reader, tmp_path))
