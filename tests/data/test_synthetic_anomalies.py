"""Artificial anomalies: seeded, visible, exact where they have masks, and bound to the split of their source."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.foreign_images import foreign
from medanomaly.data.synthetic_anomalies import LOCAL, Anomaly, generator
from medanomaly.imaging import ImageError, Preprocessing

RNG = np.random.default_rng(0)
READING = Preprocessing((24, 32))


def picture(seed=0, grey=False, size=(24, 32)):
    rng = np.random.default_rng(seed)
    plane = rng.random((*size, 1 if grey else 3), dtype=np.float32) * 0.3 + np.linspace(0, 0.6, size[1])[None, :, None]
    return np.repeat(plane, 3, axis=2).astype(np.float32) if grey else plane.astype(np.float32)


def made(spec, image, seed=0, name="a.png", repeat=0, reading=READING):
    anomaly = Anomaly.parse(spec)
    return anomaly.apply(image, generator(seed, name, anomaly, repeat), reading, name)


@pytest.mark.parametrize("spec", ["noise:0.2", "cutpaste", "blur:3", "blob:0.4"])
@pytest.mark.parametrize("grey", [False, True])
def test_range_type_and_repeatability(spec, grey):
    image = picture(grey=grey)
    before = image.copy()
    first, mask = made(spec, image)
    again, mask_again = made(spec, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert first.dtype == np.float32
    assert first.shape == image.shape
    assert first.min() >= 0
    assert first.max() <= 1
    if grey:
        np.testing.assert_array_equal(first[:, :, 0], first[:, :, 2])
    for other in ({"seed": 1}, {"name": "b.png"}, {"repeat": 1}):
        assert not np.array_equal(made(spec, image, **other)[0], first)


@pytest.mark.parametrize("spec", ["cutpaste", "blur:3", "blob:0.4"])
def test_local_ones_change_what_their_mask_marks_and_nothing_else(spec):
    for seed in range(30):
        image = picture(seed)
        changed, mask = made(spec, image, seed=seed)
        different = (changed != image).any(axis=2)
        assert mask.dtype == bool
        assert mask.any()
        assert not (different & ~mask).any()
        assert different[mask].mean() > 0.7
        assert np.abs(changed - image)[mask].mean() >= 0.02
        assert mask.mean() < 0.3


def test_noise_has_the_scale_asked_for():
    flat = np.full((200, 200, 3), 0.5, np.float32)
    flat[0, 0, 0] = 0.4  # in colour
    for scale in (0.02, 0.1):
        changed, mask = made(f"noise:{scale}", flat)
        assert mask is None
        assert (changed - flat).std() == pytest.approx(scale, rel=0.02)
        assert abs((changed - flat).mean()) < scale / 50


def test_blob_reaches_its_height():
    flat = np.full((60, 60, 3), 0.5, np.float32)
    changed, _ = made("blob:0.3", flat)
    assert np.abs(changed - flat).max() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("spec", ["cutpaste", "blur:3"])
def test_an_image_that_cannot_change_is_named(spec):
    with pytest.raises(ImageError, match=r"a\.png: synthetic anomaly"):
        made(spec, np.zeros((24, 32, 3), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 40)])
@pytest.mark.parametrize("spec", ["noise", "cutpaste", "blur", "blob"])
def test_small_images_do_not_fail_otherwise(spec, size):
    try:
        changed, mask = made(spec, picture(size=size), reading=Preprocessing(size))
    except ImageError:
        return
    assert changed.shape == (*size, 3)
    assert mask is None or mask.shape == size


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rain", "must be one of noise"),
        ("noise:-1", "positive number"),
        ("noise:nan", "positive number"),
        ("blur:x", "positive number"),
        ("blob:0", "positive number"),
        ("cutpaste:3", "takes no amount"),
        ("foreign", "needs a path"),
        ("", "must be one of noise"),
    ],
)
def test_wrong_specs_are_refused_before_anything_is_read(spec, message):
    with pytest.raises(ValueError, match=message):
        data.Table(synthetic_anomalies=[spec])


def test_specs_round_trip():
    for spec in ("noise:0.25", "cutpaste", "blur:3", "blob:0.4", "foreign:/a/b:c.npz"):
        assert str(Anomaly.parse(spec)) == spec


def test_foreign_images_of_each_kind_of_source(tmp_path):
    images = RNG.integers(0, 255, (4, 10, 12), dtype=np.uint8)
    for i, image in enumerate(images):
        write_image(tmp_path / "folder" / f"{i}.png", image)
    np.savez(tmp_path / "a.npz", test_images=images, train_images=images[:1], test_labels=np.zeros((4, 1), np.uint8))
    head = b"\x00\x00\x08\x03" + b"".join(v.to_bytes(4, "big") for v in images.shape)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head + images.tobytes())
    (tmp_path / "images.gz").write_bytes(gzip.compress(head + images.tobytes()))
    expected = [READING.prepare(np.repeat(image[:, :, None], 3, axis=2)) for image in images]
    for name in ("folder", "a.npz", "t10k-images-idx3-ubyte", "images.gz"):
        assert len(foreign(str(tmp_path / name))) == 4
        seen = set()
        for repeat in range(80):
            got, mask = made(f"foreign:{tmp_path / name}", picture(), repeat=repeat)
            assert mask is None
            (which,) = [i for i, image in enumerate(expected) if np.allclose(image, got, atol=1e-6)]
            seen.add(which)
        assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("content", [b"", b"junk", b"\x00\x00\x08\x03\x00\x00\x00\x09"])
@pytest.mark.parametrize("name", ["x.npz", "x.gz", "x-ubyte"])
def test_damaged_foreign_sources_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        foreign(str(tmp_path / name))


def test_missing_and_empty_foreign_sources_are_named(tmp_path):
    with pytest.raises(ImageError, match="nowhere"):
        foreign(str(tmp_path / "nowhere"))
    with pytest.raises(ImageError, match="holds no image"):
        foreign(str(tmp_path))


def test_a_wrong_foreign_path_is_an_error_that_skip_does_not_hide(tree):
    with pytest.raises(ImageError, match="nowhere"):
        _ = data.Table(root=tree, synthetic_anomalies=f"foreign:{tree / 'nowhere'}", on_error="skip").table


@pytest.fixture
def tree(tmp_path):
    lines = ["path,label,group,split,mask"]
    for i in range(24):
        split = ("train", "val", "test")[i // 8]
        label = "lesion" if i % 4 == 3 else "normal"
        write_image(tmp_path / f"{i}.png", (picture(i, size=(16, 16)) * 255).astype(np.uint8))
        mask = np.zeros((16, 16), np.uint8)
        mask[2:6, 2:6] = 255
        write_image(tmp_path / "masks" / f"{i}.png", mask)
        lines.append(f"{i}.png,{label},p{i // 2},{split},{f'masks/{i}.png' if label == 'lesion' else ''}")
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def batch(module, split):
    images = module.subset(split)
    return images.__getitems__(list(range(len(images))))


def test_rows_are_added_abnormal_in_the_split_and_group_of_their_source(tree):
    module = data.Table(root=tree, image_size=16, synthetic_anomalies=["noise:0.2", "cutpaste"], synthetic_per_image=2)
    table, plain = module.table, data.Table(root=tree, image_size=16).table
    assert len(table) == len(plain) + 2 * 2 * 12  # 6 normal images in each of val and test
    made = table[table["artificial"] != ""]
    assert set(made["label"]) == {"artificial-noise", "artificial-cutpaste"}
    assert made["abnormal"].all()
    assert set(made["split"]) == {"val", "test"}
    assert not made["image_path"].duplicated().any()
    source = plain.set_index("image_path").loc[made["artificial_of"]]
    assert not source["abnormal"].any()
    assert source["group"].tolist() == made["group"].tolist()
    assert source["split"].tolist() == made["split"].tolist()
    assert len(module.subset("train")) == 6
    assert len(module.listed) == len(plain)


def test_batches_hold_the_altered_copies_with_their_masks(tree):
    options = {"image_size": 16, "synthetic_anomalies": ["blob:0.4", "noise"]}
    module = data.Table(root=tree, **options)
    got = batch(module, "test")
    paths = list(got.image_path)
    for i, path in enumerate(paths):
        source, at, spec = path.partition("@")
        if not at:
            continue
        before = got.image[paths.index(source)]
        different = (got.image[i] != before).any(dim=0)
        assert bool(got.gt_label[i])
        if spec.startswith("blob"):
            assert got.gt_mask[i].any()
            assert not (different & ~got.gt_mask[i]).any()
        else:
            assert not got.gt_mask[i].any()
            assert different.float().mean() > 0.9
    assert sum("@blob" in path for path in paths) == 6
    real = batch(data.Table(root=tree, image_size=16), "test")
    assert torch.equal(got.image[: len(real.image)], real.image)
    for other in (data.Table(root=tree, **options), data.Table(root=tree, cache_mb=0, **options)):
        assert torch.equal(batch(other, "test").image, got.image)
    assert not torch.equal(batch(data.Table(root=tree, seed=1, **options), "test").image, got.image)


def test_the_same_anomalies_wherever_the_folder_lies(tree, tmp_path_factory):
    import shutil

    elsewhere = tmp_path_factory.mktemp("moved") / "set"
    shutil.copytree(tree, elsewhere)
    first, second = (data.Table(root=r, image_size=16, synthetic_anomalies="cutpaste") for r in (tree, elsewhere))
    assert torch.equal(batch(first, "val").image, batch(second, "val").image)


def test_splits_labels_and_validation_of_normals(tree):
    module = data.Table(
        root=tree,
        image_size=16,
        synthetic_anomalies=["noise:0.1", "noise:0.2"],
        synthetic_splits=["val"],
        validation="normal",
    )
    module.setup()
    assert len(module.val_data) == 6 + 12  # normals and synthetic ones, no lesion
    assert len(module.test_data) == 8
    assert {"artificial-noise-0.1", "artificial-noise-0.2"} < set(module.table["label"])
    with pytest.raises(ValueError, match="synthetic_splits"):
        data.Table(root=tree, synthetic_anomalies="noise", synthetic_splits=["train"])
    with pytest.raises(ValueError, match="synthetic_per_image"):
        data.Table(root=tree, synthetic_anomalies="noise", synthetic_per_image=0)


def test_local_ones_bring_masks_where_the_set_has_none(tmp_path):
    arrays = {}
    for split, n in (("train", 6), ("val", 4), ("test", 4)):
        arrays[f"{split}_images"] = RNG.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    assert not data.MedMnist(root=tmp_path).has_masks
    for kind in LOCAL:
        module = data.MedMnist(root=tmp_path, synthetic_anomalies=kind)
        assert module.has_masks
        got = batch(module, "test")
        assert got.gt_mask[-2:].flatten(1).any(1).all()
        assert not got.gt_mask[:-2].any()


def test_a_synthetic_image_changes_the_cache_s_key(tree):
    options = {"root": tree, "image_size": 16, "cache_mb": 0, "cache_dir": tree / "cache"}
    for more in (
        {"synthetic_anomalies": "noise:0.1"},
        {"synthetic_anomalies": "noise:0.2"},
        {"synthetic_anomalies": "noise:0.2", "seed": 3},
    ):
        kept, anew = data.Table(**options, **more), data.Table(**{**options, "cache_dir": None}, **more)
        assert torch.equal(batch(kept, "test").image, batch(anew, "test").image)
    assert len(list((tree / "cache").iterdir())) == 3
