"""Plugins that touch images or scores outside their torch model, by ordinary means of anomalib and lightning."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from anomalib.data import InferenceBatch
from anomalib.pre_processing import PreProcessor
from torchvision.transforms.v2 import (
    CenterCrop,
    Compose,
    GaussianBlur,
    Grayscale,
    Normalize,
    Resize,
    Transform,
)

from medanomaly.decision import OperatingPoint
from medanomaly.models.module import pixels
from medanomaly_autoencoder import Autoencoder
from medanomaly_phantom import Phantom

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class PreNorm(Autoencoder):
    """Normalises in its pre-processor."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(Normalize(MEAN, STD))


class PreGrey(Autoencoder):
    """Several transforms in a chain."""

    def configure_pre_processor(self, image_size: tuple[int, int] | None = None) -> PreProcessor:  # type: ignore[override]
        return PreProcessor(Compose([Grayscale(3), Compose([Normalize([0.5], [0.25])])]))


class PreResize(Autoencoder):
    """Enlarges: its maps are larger than the image."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(Compose([Resize((48, 48), antialias=True), Normalize(MEAN, STD)]))


class SameSize(Autoencoder):
    """A resize that changes nothing, as anomalib's own default has."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(Compose([Resize((32, 32), antialias=True), Normalize(MEAN, STD)]))


class Negative(Transform):
    """A transform that anomalib does not keep in checkpoints."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return 1 - inpt if inpt.dtype.is_floating_point else inpt


class PreOwn(Autoencoder):
    """A transform of its own."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(Negative())


class Mapless(torch.nn.Module):
    """A torch model that gives scores alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        return InferenceBatch(pred_score=self.inner(image).pred_score)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("inner", "_modules") else getattr(self.inner, name)


class PreCrop(Autoencoder):
    """Crops, with heat maps that would lie elsewhere."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(CenterCrop(24))


class PreCropMapless(PreCrop):
    """Crops, without heat maps."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = Mapless(self.model)  # type: ignore[assignment]


class StepOnly(Autoencoder):
    """Scales images in a step of its own."""

    def validation_step(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        return batch.update(**self.model(pixels(batch) * 2 - 1)._asdict())


class ScoreStep(Autoencoder):
    """Scales scores, in the test alone."""

    def test_step(self, batch: Any, batch_idx: int, *args: Any, **kwargs: Any) -> Any:
        batch = super().test_step(batch, batch_idx)
        return batch.update(pred_score=batch.pred_score * 3)


class TransferHook(Autoencoder):
    """Scales images in a hook of lightning."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        batch.image = batch.image * 0.5
        return batch


class OwnHook(PreProcessor):
    """A pre-processor without a transform, that works in its hooks."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        batch.image = batch.image.clamp(0.3, 0.7)

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        batch.image = batch.image.clamp(0.3, 0.7)

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *args: Any) -> None:
        batch.image = batch.image.clamp(0.3, 0.7)


class PreHook(Autoencoder):
    """With such a pre-processor."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return OwnHook()


class OwnDecode(Phantom):
    """Decodes files otherwise than the edge does."""

    def decode(self, image_path: str) -> np.ndarray:
        return 255 - super().decode(image_path)


class PreCropBack(Autoencoder):
    """Enlarges and cuts back to the same size: maps fit in size, and lie elsewhere."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(Compose([Resize((40, 40), antialias=True), CenterCrop(32)]))


class PreBlur(Autoencoder):
    """Blurs, by a transform that draws how much."""

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(GaussianBlur(3, sigma=(1.0, 1.0)))


class Contrary(OperatingPoint):
    """Decides by something else than its threshold."""

    def forward(self, predictions: InferenceBatch) -> InferenceBatch:
        found = super().forward(predictions)
        return found._replace(pred_label=~found.pred_label)


class PostContrary(Autoencoder):
    """With such a post-processor."""

    def configure_post_processor(self) -> OperatingPoint:
        return Contrary()


class Pairs(torch.nn.Module):
    """A torch model that gives a tuple instead of an ``InferenceBatch``."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.inner(image)
        return found.pred_score, found.anomaly_map

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("inner", "_modules") else getattr(self.inner, name)


class TupleModel(Autoencoder):
    """With such a torch model, and a step that knows it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = Pairs(self.model)  # type: ignore[assignment]

    def validation_step(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        score, heat = self.model(pixels(batch))
        return batch.update(pred_score=score, anomaly_map=heat)


class Doubled(torch.nn.Module):
    """A torch model that ends in another precision than it begins."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.inner = model

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        found = self.inner(image)
        return InferenceBatch(pred_score=found.pred_score.double() / 3, anomaly_map=found.anomaly_map.double())

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name in ("inner", "_modules") else getattr(self.inner, name)


class DoubleModel(Autoencoder):
    """With such a torch model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = Doubled(self.model)  # type: ignore[assignment]
