"""Batches, caching and errors of the shared data module, through the built-in plugins."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError
from medanomaly.imaging import ImageError, Preprocessing

RNG = np.random.default_rng(0)


@pytest.fixture
def tree(tmp_path):
    """A Table's folder: 12 colour images with masks for the abnormal ones."""
    lines = ["path,label,group,split,mask"]
    for i in range(12):
        label = "lesion" if i % 4 == 3 else "normal"
        split = ("train", "val", "test")[i // 4]
        write_image(tmp_path / f"{i}.png", RNG.integers(0, 255, (20, 20, 3), dtype=np.uint8))
        mask = np.zeros((20, 20), np.uint8)
        mask[5:15, 5:15] = 255
        write_image(tmp_path / "masks" / f"{i}.png", mask)
        lines.append(f"{i}.png,{label},p{i},{split},{f'masks/{i}.png' if label == 'lesion' else ''}")
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def ready(module):
    module.setup()
    return module


def test_training_sees_normals_only_and_batches_are_the_readers_images(tree):
    module = ready(data.Table(root=tree, image_size=10))
    batch = module.train_data.__getitems__([0, 2])
    assert not module.train_data.abnormal.any()
    assert batch.image.shape == (2, 3, 10, 10)
    expected = Preprocessing((10, 10)).load(batch.image_path[1])
    np.testing.assert_array_equal(batch.image[1].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_cache_changes_nothing(tree, cache_mb):
    module = ready(data.Table(root=tree, image_size=10, cache_mb=cache_mb, eval_batch_size=3))
    first = [batch.image for batch in module.test_dataloader()]
    again = [batch.image for batch in module.test_dataloader()]
    torch.testing.assert_close(torch.cat(first), torch.cat(again), rtol=0, atol=0)
    assert sum(len(b.image) for b in module.test_dataloader()) == 4


def test_masks_reach_batches(tree):
    batch = next(iter(ready(data.Table(root=tree, image_size=20)).test_dataloader()))
    assert batch.gt_mask.shape == (4, 20, 20)
    assert batch.gt_mask.flatten(1).sum(1).tolist() == [100 if a else 0 for a in batch.gt_label]


def test_validation_normal_drops_abnormal_images(tree):
    assert len(ready(data.Table(root=tree, validation="normal")).val_data) == 3
    assert len(ready(data.Table(root=tree)).val_data) == 4


def test_mask_of_another_size_is_named(tree):
    write_image(tree / "masks" / "11.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(ImageError, match=r"11\.png: the mask is 8×8"):
        list(ready(data.Table(root=tree)).test_dataloader())


def test_unreadable_image_is_named(tree):
    (tree / "1.png").write_bytes(b"junk")
    with pytest.raises(ImageError, match=r"1\.png"):
        list(ready(data.Table(root=tree)).train_dataloader())


def skipping(tree, **options):
    return data.Table(root=tree, image_size=10, on_error="skip", **options)


@pytest.mark.parametrize("options", [{}, {"cache_mb": 0}, {"cache_mb": 0, "cache_dir": "cache"}])
def test_unreadable_images_are_left_out_and_listed(tree, options):
    if "cache_dir" in options:
        options = {**options, "cache_dir": tree / options["cache_dir"]}
    (tree / "1.png").write_bytes(b"junk")
    (tree / "3.png").write_bytes((tree / "3.png").read_bytes()[:60])  # abnormal in train: counted, not fed
    write_image(tree / "masks" / "11.png", np.zeros((8, 8), np.uint8))
    for _ in range(2):  # the second time from what the first one kept
        module = ready(skipping(tree, **options))
        assert [Path(entry["path"]).name for entry in module.skipped] == ["1.png", "3.png", "11.png"]
        assert "the mask is 8×8" in module.skipped[2]["error"]
        assert len(module.table) == 9
        assert (len(module.train_data), len(module.val_data), len(module.test_data)) == (2, 4, 3)
        plain = data.Table(root=tree, image_size=10).subset("train")
        batch = next(iter(module.normals_dataloader("train")))
        assert [Path(path).name for path in batch.image_path] == ["0.png", "2.png"]
        assert torch.equal(batch.image, plain.__getitems__([0, 2]).image)
        assert sum(len(batch.image) for batch in module.test_dataloader()) == 3


def test_a_split_left_empty_is_an_error(tree):
    for i in range(8, 12):
        (tree / f"{i}.png").write_bytes(b"junk")
    with pytest.raises(TableError, match=r"No usable image is in test after 4 .*8\.png"):
        _ = skipping(tree).table


def test_copies_of_an_unreadable_image_are_left_out_with_it(tree):
    (tree / "8.png").write_bytes(b"junk")
    module = skipping(tree, synthetic_anomalies="noise")
    assert [Path(entry["path"]).name for entry in module.skipped] == ["8.png"]
    assert not module.table["image_path"].str.contains("8.png", regex=False).any()
    assert (module.table["label"] == "artificial-noise").sum() == 5


def test_nothing_is_skipped_where_all_can_be_read(tree):
    module = skipping(tree)
    assert module.table.equals(data.Table(root=tree).table)
    assert module.skipped == []
    with pytest.raises(ValueError, match="on_error must be one of raise, skip"):
        data.Table(root=tree, on_error="ignore")


def test_skipped_images_reach_the_evidence(tmp_path):
    from medanomaly.training.command_line import run

    args = [
        "train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
        "--data", "Phantom", "--data.init_args.root", str(tmp_path / "frames"), "--data.init_args.image_size", "16",
        "--data.init_args.train", "8", "--data.init_args.val", "4", "--data.init_args.test", "4",
        "--data.init_args.on_error", "skip", "--data.init_args.synthetic_anomalies", "[noise:0.3,cutpaste]",
        "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
        "--default_root_dir", str(tmp_path / "results"),
    ]  # fmt: skip
    ready(data.Phantom(root=tmp_path / "frames", train=8, val=4, test=4))
    broken = next((tmp_path / "frames").rglob("test-normal-0002.png"))
    broken.write_bytes(b"junk")
    assert run(args) == 0
    out = (tmp_path / "results" / "Autoencoder" / "Phantom" / "latest").resolve()
    evidence = json.loads((out / "evidence.json").read_text())
    assert [entry["path"] for entry in evidence["skipped"]] == [str(broken)]
    assert "test-normal-0002.png" in (out / "report.html").read_text()
    test = {row["label"]: row["images"] for row in evidence["data"]["counts"] if row["split"] == "test"}
    assert test == {"normal": 3, "bleeding": 4, "artificial-noise": 3, "artificial-cutpaste": 3}
    assert evidence["image"]["abnormal"] == 10


def test_batches_are_drawn_from_torch_s_generator(tree):
    def order(seed):
        module = ready(data.Table(root=tree, image_size=10, train_batch_size=2))
        torch.manual_seed(seed)
        return [path for _ in range(5) for batch in module.train_dataloader() for path in batch.image_path]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert set(order(0)[:3]) == set(order(1)[:3])


@pytest.mark.parametrize("name", ["Table", "Folder", "WirelessCapsule", "MedMnist"])
def test_missing_root_says_what_is_expected_and_how_to_get_it(tmp_path, name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "medmnist", None)
    with pytest.raises(DataError) as error:
        ready(getattr(data, name)(root=tmp_path / "nowhere"))
    assert "Expected there:" in str(error.value)
    assert "nowhere" in str(error.value)


def test_default_root_follows_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDANOMALY_DATA", str(tmp_path))
    assert data.WirelessCapsule().root == tmp_path / "wce_bleeding"
    assert data.MedMnist(name="pneumoniamnist_64").root == tmp_path / "pneumoniamnist"
    assert data.MedMnist(name="fashion_mnist").root == tmp_path / "fashion_mnist"


def test_folder_splits_by_the_pattern_s_group(tmp_path):
    for patient in range(12):
        for shot in range(3):
            kind = "abnormal/polyp" if patient % 3 == 0 and shot == 0 else "normal"
            write_image(tmp_path / kind / f"p{patient:02d}_{shot}.png", RNG.integers(0, 255, (8, 8), dtype=np.uint8))
    module = ready(data.Folder(root=tmp_path, group_pattern=r"(p\d+)_", image_size=8))
    table = module.table
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert set(table["label"]) == {"normal", "polyp"}
    with pytest.raises(TableError, match="finds no group"):
        ready(data.Folder(root=tmp_path, group_pattern=r"(x\d+)"))


def test_table_without_split_is_dealt(tree):
    rows = [line.split(",") for line in (tree / "split.csv").read_text().split()]
    (tree / "split.csv").write_text("\n".join(",".join(r[:3] + r[4:]) for r in rows))
    assert set(ready(data.Table(root=tree)).table["split"]) == {"train", "val", "test"}


def test_medmnist_npz(tmp_path):
    arrays = {}
    for split, n in (("train", 20), ("val", 6), ("test", 8)):
        arrays[f"{split}_images"] = RNG.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    module = ready(data.MedMnist(root=tmp_path))
    assert len(module.train_data) == 10
    batch = next(iter(module.test_dataloader()))
    np.testing.assert_allclose(batch.image[3, 1].numpy(), arrays["test_images"][3] / 255, atol=1e-6)
    assert set(module.table["label"]) == {"normal", "pneumonia"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a zip"])
def test_damaged_npz_is_named(tmp_path, content):
    (tmp_path / "pneumoniamnist.npz").write_bytes(content)
    with pytest.raises(ImageError, match=r"pneumoniamnist\.npz"):
        ready(data.MedMnist(root=tmp_path))


def test_pickled_npz_is_refused(tmp_path):
    images = np.array([{"a": 1}] * 4, dtype=object)
    np.savez(tmp_path / "pneumoniamnist.npz", train_images=images, train_labels=images)
    with pytest.raises(ImageError, match="pickle"):
        ready(data.MedMnist(root=tmp_path))


def test_mnist_idx_one_class_against_the_rest(tmp_path):
    for prefix, n in (("train", 50), ("t10k", 20)):
        images = RNG.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        head = bytes([0, 0, 8, 3]) + b"".join(v.to_bytes(4, "big") for v in images.shape)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = bytes([0, 0, 8, 1]) + n.to_bytes(4, "big")
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))
    table = data.MedMnist(root=tmp_path, name="mnist", normal=["3"]).table
    assert table["split"].value_counts().to_dict() == {"train": 45, "test": 20, "val": 5}
    assert (table["abnormal"] == (table["label"] != "3")).all()
    with pytest.raises(TableError, match="Name the normal classes"):
        _ = data.MedMnist(root=tmp_path, name="mnist").table


def test_phantom_draws_once_and_repeats(tmp_path):
    options = {"train": 4, "val": 2, "test": 2, "image_size": 32, "frame_size": 64}
    one, two = (ready(data.Phantom(root=tmp_path / name, **options)) for name in ("a", "b"))
    torch.testing.assert_close(one.test_data.__getitems__([0, 3]).image, two.test_data.__getitems__([0, 3]).image)
    other = ready(data.Phantom(root=tmp_path / "c", seed=5, **options))
    assert not torch.equal(one.test_data.__getitems__([0]).image, other.test_data.__getitems__([0]).image)
    assert len(one.table) == 12
    assert (one.table["mask_path"] != "").sum() == 4


@pytest.mark.real
@pytest.mark.parametrize("split", ["main", "unseen_capsule"])
def test_real_capsule_frames(real_data, split):
    module = ready(data.WirelessCapsule(root=real_data / "wce_bleeding", split=split))
    expected = {"main": (665, 497, 1045), "unseen_capsule": (707, 424, 1076)}[split]
    assert (len(module.train_data), len(module.val_data), len(module.test_data)) == expected
    assert module.train_data.__getitems__([0]).image.shape == (1, 3, 64, 64)


@pytest.mark.real
def test_real_pneumoniamnist(real_data):
    table = data.MedMnist(root=real_data / "pneumoniamnist").table
    assert table["split"].value_counts().to_dict() == {"train": 4708, "test": 624, "val": 524}
