"""Reconstruction of an image by a bundle's model, to see beside its input."""

from __future__ import annotations

import cv2
import numpy as np
import openvino as ov

from medanomaly.edge.bundle import GRAPH, Bundle
from medanomaly.edge.bundle_graph import reconstruction_output
from medanomaly.edge.detector import core


class Reconstructor:
    """Runs the part of a bundle's graph that reconstructs; apart from the detector, which leaves it out.

    Made by :meth:`of`.
    """

    def __init__(self, bundle: Bundle, compiled: ov.CompiledModel) -> None:
        self.bundle, self._compiled = bundle, compiled

    @classmethod
    def of(cls, bundle: Bundle, device: str = "CPU") -> Reconstructor | None:
        """That of a checked bundle; None if its model makes no reconstruction, or an earlier version exported it."""
        graph = reconstruction_output(core().read_model(bundle.path / GRAPH))
        if graph is None:
            return None
        graph.reshape(bundle.form.shape(bundle.reading.size))
        return cls(bundle, core().compile_model(graph, device, {"INFERENCE_PRECISION_HINT": "f32"}))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Reconstruct an image.

        Args:
            image: (H, W, 3) float32 in [0, 1], as the model saw it: ``Result.image``.

        Returns:
            (H, W, 3) float32 in [0, 1]; one that the model makes smaller is enlarged.
        """
        logits = self._compiled(self.bundle.form.tensor(image))[0][0].transpose(1, 2, 0)
        picture = 1 / (1 + np.exp(-logits.astype(np.float64)))
        height, width = image.shape[:2]
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        return picture.astype(np.float32)
