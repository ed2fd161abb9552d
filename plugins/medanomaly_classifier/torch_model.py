"""The network: image in, raw score and class activation map out."""

from __future__ import annotations

import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly.models import positive_score
from medanomaly.models.backbone import ClassifierNetwork


class ClassifierModel(nn.Module):
    """A classifier of two classes, normal and abnormal.

    Args:
        network: Its two logits are those of normal and abnormal.
        upsample: Factor by which images are enlarged for the network.

    Raises:
        ValueError: if ``upsample`` is below 1.
    """

    def __init__(self, network: ClassifierNetwork, upsample: int = 1) -> None:
        super().__init__()
        if upsample < 1:
            raise ValueError(f"need upsample >= 1; got upsample={upsample}")
        self.network, self.upsample = network, upsample

    def classify(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, 2) and class activation maps (B, 2, h, w) for images (B, 3, H, W) in [0, 1]."""
        if self.upsample > 1:
            image = F.interpolate(image, scale_factor=self.upsample, mode="bilinear", align_corners=False)
        return self.network(image)

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1].

        The map is the difference of the abnormal from the normal class's activation map (Zhou et al., CVPR 2016). Its
        mean over the image is the difference z of the logits, and the score is v with v - 1/v = z: greater than zero,
        1 at even odds, in the order of z.
        """
        logits, maps = self.classify(image)
        difference = maps[:, 1:] - maps[:, :1]
        anomaly_map = F.interpolate(difference, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return InferenceBatch(pred_score=positive_score(logits[:, 1] - logits[:, 0]), anomaly_map=anomaly_map)
