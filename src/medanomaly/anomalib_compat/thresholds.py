"""anomalib's post-processor with thresholds that can be written."""

from __future__ import annotations

import torch
from anomalib.post_processing import PostProcessor


class ThresholdBuffers(PostProcessor):
    """A post-processor whose thresholds are buffers: ``post.image_threshold.fill_(0.3)`` sets one."""

    @property
    def image_threshold(self) -> torch.Tensor:
        """Raw threshold of images (), NaN before one is chosen. anomalib would put the pixels' in place of NaN."""
        return self._image_threshold

    @property
    def pixel_threshold(self) -> torch.Tensor:
        """Raw threshold of pixels (), NaN before one is chosen and where the model draws no heat map."""
        return self._pixel_threshold
