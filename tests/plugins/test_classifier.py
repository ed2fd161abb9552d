"""Classifier: class weights, class activation maps, augmentation, best weights, and what it must not be trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anomalib.engine import Engine
from lightning import Callback
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from medanomaly.data import Phantom
from medanomaly.data.table import TableError
from medanomaly.decision import OperatingPoint
from medanomaly.decision.rules import choose_threshold
from medanomaly_classifier import Classifier
from medanomaly_classifier.augment import moved

TINY = {"network": "resnet10t", "stride": 8}


class LabelledPhantom(Phantom):
    """Drawn frames whose training frames are those of the validation's second half: normal and bleeding."""

    def samples(self, root):
        table = super().samples(root)
        number = table["group"].str[-4:].astype(int)
        validation = table["split"] == "val"
        table = table[table["split"] != "train"]
        return table.assign(split=table["split"].mask(validation & (number >= self.number["val"][0] // 2), "train"))


def frames(tmp_path, **options):
    options = {"training": "labelled", **options}
    return LabelledPhantom(root=tmp_path, train=1, val=16, test=4, image_size=32, train_batch_size=8, **options)


def train(tmp_path, network, data, epochs=3, callbacks=()):
    arguments = {"enable_progress_bar": False, "accelerator": "cpu", "logger": False, "default_root_dir": tmp_path}
    Engine(max_epochs=epochs, callbacks=list(callbacks), **arguments).train(network, datamodule=data)


def test_the_score_follows_the_difference_of_the_logits_which_is_the_mean_of_the_map():
    network = Classifier(**TINY, upsample=2).eval().model
    image = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        out, (logits, maps) = network(image), network.classify(image)
    assert maps.shape == (3, 2, 8, 8)
    difference = logits[:, 1] - logits[:, 0]
    torch.testing.assert_close(out.pred_score - 1 / out.pred_score, difference, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(difference, out.anomaly_map.mean(dim=(1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_moved_images_are_shifted_scaled_and_never_flipped():
    image = torch.zeros(64, 3, 32, 32)
    image[:, :, 4:12, 6:10] = 1  # above and left of the middle
    torch.manual_seed(0)
    out = moved(image, 0.1, 0.1)
    y, x = (torch.arange(32.0).view(1, 1, *shape) for shape in ((32, 1), (1, 32)))
    mass = out.sum(dim=(1, 2, 3))
    centre = torch.stack([(out * grid).sum(dim=(1, 2, 3)) / mass for grid in (y, x)])
    assert (centre[0] < 14).all()  # 7.5 ± 3.2 and a tenth of the distance from the middle
    assert (centre[1] < 14).all()
    assert centre.std(dim=1).min() > 1
    assert mass.std() > 5
    assert torch.allclose(moved(image, 0.0, 0.0), image, atol=1e-5)


def test_both_classes_weigh_alike_whatever_their_number(tmp_path):
    class Watch(Callback):
        def on_train_start(self, trainer, pl_module):
            self.weights = pl_module.class_weights

    watch = Watch()
    data = frames(tmp_path, normal=["normal"])
    data.setup()
    rows = data.train_data.abnormal
    keep = torch.cat([torch.where(rows)[0][:2], torch.where(~rows)[0]])
    chosen = data.train_data.only(torch.isin(torch.arange(len(rows)), keep))
    data._setup = lambda stage=None: None
    data.train_data = chosen
    network = Classifier(**TINY)
    train(tmp_path, network, data, 1, [watch])
    truth = chosen.abnormal.numpy().astype(int)
    np.testing.assert_allclose(
        watch.weights, compute_class_weight("balanced", classes=np.array([0, 1]), y=truth), rtol=1e-6
    )


def test_a_miss_weighs_what_it_is_said_to_cost(tmp_path):
    network = Classifier(**TINY, miss_cost=10.0, shift=0.0, scale=0.0).eval()
    logged = {}
    network.log = lambda name, value, **_: logged.update({name: value.item()})
    data = frames(tmp_path)
    data.setup()
    network._trainer = type("Trainer", (), {"datamodule": data})()
    network.on_fit_start()
    batch = data.train_data.__getitems__(list(range(6, 12)))
    network.training_step(batch)
    with torch.no_grad():
        probability = network.model.classify(batch.image.as_subclass(torch.Tensor))[0].softmax(dim=1)
    truth = batch.gt_label.numpy().astype(int)
    expected = log_loss(truth, probability.numpy(), sample_weight=np.where(truth, 10.0, 1.0), labels=[0, 1])
    assert logged["train_loss"] == pytest.approx(expected, rel=1e-4)


def test_normals_alone_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(
        TableError, match=r"no abnormal ones \(8 normal, 0 abnormal\).*data.init_args.training: labelled"
    ):
        train(tmp_path, Classifier(**TINY), frames(tmp_path, training="normal"))


@pytest.mark.parametrize("keep_best", [True, False])
def test_it_returns_to_the_best_weights_and_to_their_operating_point(tmp_path, keep_best):
    reached = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            reached.append(float(trainer.callback_metrics["val_image_AUROC"]))
            if trainer.current_epoch == 1:  # a turn for the worse: abnormal becomes normal
                with torch.no_grad():
                    pl_module.model.network.head.weight.copy_(pl_module.model.network.head.weight.flip(0))
                    pl_module.model.network.head.bias.copy_(pl_module.model.network.head.bias.flip(0))

    network = Classifier(**TINY, keep_best=keep_best, learning_rate=1e-3)
    network.post_processor = OperatingPoint(rule="sensitivity", value=0.75)
    data = frames(tmp_path)
    train(tmp_path, network, data, 3, [Watch()])
    batch = data.val_data.__getitems__(list(range(len(data.val_data))))
    with torch.no_grad():
        scores = network.eval().model(batch.image.as_subclass(torch.Tensor)).pred_score.numpy()
    truth = batch.gt_label.numpy()
    assert reached[2] != max(reached)
    assert roc_auc_score(truth, scores) == pytest.approx(max(reached) if keep_best else reached[2])
    expected = choose_threshold("sensitivity", 0.75, scores[~truth], scores[truth])
    assert network.post_processor.record()["threshold"] == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_falls_to_zero(tmp_path):
    rates = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    train(tmp_path, Classifier(**TINY, learning_rate=1e-2), frames(tmp_path), 4, [Watch()])
    steps = np.arange(len(rates))
    np.testing.assert_allclose(rates, 0.5e-2 * (1 + np.cos(np.pi * steps / len(rates))), rtol=1e-6)


def test_statistics_of_batches_are_learned_by_a_model_handed_over_in_evaluation_mode(tmp_path):
    network = Classifier(**TINY).eval()
    train(tmp_path, network, frames(tmp_path), 1)
    assert int(network.model.network.trunk.bn1.num_batches_tracked) == 2


@pytest.mark.parametrize("options", [{"shift": 1.0}, {"scale": -0.1}, {"miss_cost": 0.0}, {"upsample": 0}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Classifier(**TINY, **options)
