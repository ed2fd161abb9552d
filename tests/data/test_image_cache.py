"""Images kept in memory or on disk: what comes back is what reading anew would give, and never half of it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.image_cache import CachedImages
from medanomaly.imaging import ImageError

RNG = np.random.default_rng(0)
SIZE = (6, 5)


class Reader:
    """Images by number; counts what is read. ``bad`` numbers cannot be."""

    def __init__(self, number=9, colour=(), bad=(), depth=255):
        planes = RNG.integers(0, depth, (number, *SIZE, 1)).astype(np.float32) / np.float32(depth)
        self.images = [np.repeat(plane, 3, axis=2) for plane in planes]
        for i in colour:
            self.images[i] = RNG.integers(0, depth, (*SIZE, 3)).astype(np.float32) / np.float32(depth)
        self.bad, self.count = bad, 0

    def __call__(self, i):
        self.count += 1
        if i in self.bad:
            raise ImageError(f"{i}.png: is broken")
        return self.images[i], (self.images[i][:, :, 0] > 0.5 if i % 3 == 0 else None)

    def check(self, fetched, rows):
        images, masks = fetched
        assert images.shape == (len(rows), 3, *SIZE)
        assert images.is_contiguous(memory_format=torch.channels_last)
        for k, i in enumerate(rows):
            np.testing.assert_array_equal(images[k].permute(1, 2, 0).numpy(), self.images[i])
            expected = self.images[i][:, :, 0] > 0.5 if i % 3 == 0 else np.zeros(SIZE, bool)
            np.testing.assert_array_equal(masks[k].numpy(), expected)


def bytes_of(number, channels):
    return number * SIZE[0] * SIZE[1] * (4 * channels + 1)


@pytest.mark.parametrize("depth", [255, 65535])
@pytest.mark.parametrize("colour", [(), (0,), (5,), (8,)])
@pytest.mark.parametrize("where", ["memory", "disk", "nowhere"])
def test_every_image_comes_back_bit_for_bit(tmp_path, depth, colour, where):
    reader = Reader(colour=colour, depth=depth)
    folder = tmp_path if where == "disk" else None
    images = CachedImages(reader, 9, SIZE, True, bytes_of(9, 3) if where == "memory" else 0, folder, lambda: "key")
    for rows in ([2, 0], [8, 5, 5, 1], list(range(9)), [3]):
        reader.check(images.fetch(rows), rows)
    assert (reader.count == 9) == (where != "nowhere")
    assert images.ready == (where != "nowhere")


def test_grey_images_need_a_third_of_the_budget():
    reader = Reader()
    images = CachedImages(reader, 9, SIZE, True, bytes_of(9, 1))
    images.fill()
    reader.check(images.fetch([4, 4, 0]), [4, 4, 0])
    assert reader.count == 9
    assert not CachedImages(reader, 9, SIZE, True, bytes_of(9, 1) - 1).ready


@pytest.mark.parametrize("folder", [False, True])
def test_colour_met_late_that_does_not_fit_is_still_right(tmp_path, folder):
    reader = Reader(colour=(7,))
    images = CachedImages(reader, 9, SIZE, True, bytes_of(9, 1), tmp_path if folder else None, lambda: "key")
    for rows in ([0, 1], [6, 7], list(range(9))):
        reader.check(images.fetch(rows), rows)
    assert images.ready == folder


def test_disk_is_read_back_without_reading_images(tmp_path):
    first, second = Reader(colour=(3,)), Reader()
    CachedImages(first, 9, SIZE, True, 0, tmp_path, lambda: "key").fill()
    images = CachedImages(second, 9, SIZE, True, 0, tmp_path, lambda: "key")
    first.check(images.fetch([3, 8, 0]), [3, 8, 0])
    assert second.count == 0


def test_another_key_is_read_anew(tmp_path):
    first, second = Reader(), Reader()
    CachedImages(first, 9, SIZE, True, 0, tmp_path, lambda: "one").fill()
    second.check(CachedImages(second, 9, SIZE, True, 0, tmp_path, lambda: "two").fetch([1]), [1])


@pytest.mark.parametrize("damage", ["cut", "empty", "json", "no json", "other shape", "pickle"])
def test_damaged_files_are_never_used(tmp_path, damage):
    reader = Reader()
    CachedImages(reader, 9, SIZE, True, 0, tmp_path, lambda: "key").fill()
    record, (file,) = tmp_path / "key" / "cache.json", list((tmp_path / "key").glob("images*.npy"))
    if damage == "cut":
        os.truncate(file, file.stat().st_size - 1)
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "json":
        record.write_text(record.read_text()[:-5])
    elif damage == "no json":
        record.unlink()
    elif damage == "other shape":
        np.save(file, np.zeros((9, 1, 2, 2), np.float32))
    else:
        np.save(file, np.array([{"a": 1}] * 9, dtype=object), allow_pickle=True)
    reader.check(CachedImages(reader, 9, SIZE, True, 0, tmp_path, lambda: "key").fetch([0, 8]), [0, 8])
    assert reader.count == 18
    again = CachedImages(reader, 9, SIZE, True, 0, tmp_path, lambda: "key")
    reader.check(again.fetch([0, 8]), [0, 8])
    assert reader.count == 18  # and it was mended


def test_an_interrupted_writer_leaves_nothing_to_be_read(tmp_path):
    class Stop(Reader):
        def __call__(self, i):
            if i == 5:
                raise KeyboardInterrupt
            return super().__call__(i)

    with pytest.raises(KeyboardInterrupt):
        CachedImages(Stop(), 9, SIZE, True, 0, tmp_path, lambda: "key").fill()
    assert not list(tmp_path.iterdir())


def test_an_unreadable_image_raises_or_is_remembered(tmp_path):
    for folder in (None, tmp_path):
        reader = Reader(bad=(2, 6))
        images = CachedImages(reader, 9, SIZE, True, 0 if folder else 10**6, folder, lambda: "key")
        assert images.verify() == {2: "2.png: is broken", 6: "6.png: is broken"}
        reader.check(images.fetch([1, 7]), [1, 7])
    again = CachedImages(Reader(), 9, SIZE, True, 0, tmp_path, lambda: "key")
    assert set(again.verify()) == {2, 6}
    strict = CachedImages(Reader(bad=(2, 6)), 9, SIZE, True, 0, tmp_path / "other", lambda: "key")
    with pytest.raises(ImageError, match=r"2\.png"):
        strict.fetch([0])
    assert not list((tmp_path / "other").iterdir())


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    reader = Reader()
    reader.check(CachedImages(reader, 9, SIZE, True, 0, tmp_path / "file", lambda: "key").fetch([1]), [1])
    assert "is not used" in caplog.text


def _fill(folder: Path, queue) -> None:
    rng = np.random.default_rng(5)
    images = [np.repeat(rng.random((*SIZE, 1), dtype=np.float32), 3, axis=2) for _ in range(50)]
    kept = CachedImages(lambda i: (images[i], None), 50, SIZE, False, 0, folder, lambda: "key")
    got = kept.fetch(list(range(50)))[0]
    queue.put(torch.equal(got, torch.stack([torch.from_numpy(i).permute(2, 0, 1) for i in images])) and kept.ready)


def test_processes_may_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_fill, args=(tmp_path, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [True] * 4
    for worker in workers:
        worker.join()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.fixture
def tree(tmp_path):
    lines = ["path,label,group,split"]
    for i in range(9):
        split = ("train", "val", "test")[i // 3]
        write_image(tmp_path / "set" / f"{i}.png", RNG.integers(0, 255, (12, 12, 3), dtype=np.uint8))
        lines.append(f"{i}.png,normal,p{i},{split}")
    (tmp_path / "set" / "split.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def module(tree, **options):
    options = {"image_size": 8, "cache_mb": 0, "cache_dir": tree / "cache", **options}
    return data.Table(root=tree / "set", **options)


def train(made):
    images = made.subset("train")
    return images.__getitems__(list(range(len(images)))).image.as_subclass(torch.Tensor)


def test_a_changed_file_is_noticed(tree):
    before = train(module(tree))
    assert len(list((tree / "cache").iterdir())) == 1
    torch.testing.assert_close(train(module(tree)), before, rtol=0, atol=0)
    assert len(list((tree / "cache").iterdir())) == 1
    write_image(tree / "set" / "1.png", RNG.integers(0, 255, (12, 12, 3), dtype=np.uint8))
    after = train(module(tree))
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(after, train(module(tree, cache_dir=None)))
    assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("option", [{"image_size": 9}, {"intensity": "minmax"}, {"colour": "grey"}])
def test_another_reading_is_another_cache(tree, option):
    train(module(tree))
    assert torch.equal(train(module(tree, **option)), train(module(tree, **option, cache_dir=None)))


@pytest.mark.parametrize("options", [{"cache_mb": 10}, {}, {"cache_dir": None}])
def test_a_data_set_can_be_sent_to_another_process(tree, options):
    made = module(tree, **options)
    made.setup()
    made.test_data.images.fill()
    sent = pickle.loads(pickle.dumps(made.test_data))  # noqa: S301
    assert torch.equal(sent.__getitems__([0, 2]).image, made.test_data.__getitems__([0, 2]).image)


def test_worker_processes_see_what_is_kept(tree):
    for options in ({"cache_mb": 10, "cache_dir": None}, {}, {"cache_dir": None}):
        made = module(tree, num_workers=2, eval_batch_size=2, **options)
        made.setup()
        expected = made.test_data.__getitems__([0, 1, 2]).image
        got = torch.cat([batch.image for batch in made.test_dataloader()])
        assert torch.equal(got, expected)
        assert (made.test_dataloader().num_workers == 0) == (options != {"cache_dir": None})
