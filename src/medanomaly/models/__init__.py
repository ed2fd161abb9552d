"""What model plugins share; and ``medanomaly.models.<Name>``, the address of every model plugin.

Look first into :mod:`.module` (``MedicalModel``, the mixin of every plugin). :mod:`.blocks` and :mod:`.backbone` are
networks, :mod:`.error_maps` and :mod:`.density` scores, :mod:`.checkpoint_selection` chooses the epoch to test.
"""
# ruff: noqa: F401 (names for type checkers; __getattr__ gives them out)

from typing import TYPE_CHECKING

from medanomaly.registry import lazy_attribute

if TYPE_CHECKING:
    from medanomaly.models.backbone import FeatureNetwork, WeightsInCheckpoint, feature_network
    from medanomaly.models.blocks import ConvAutoencoder
    from medanomaly.models.error_maps import MapScore, error_map, positive_score
    from medanomaly.models.module import MedicalModel, Normals, pixels
    from medanomaly.models.reconstruction import Reconstruction

#: What a model plugin is written with, and the module that holds it.
_PUBLIC = {
    "ConvAutoencoder": "blocks",
    "FeatureNetwork": "backbone",
    "MapScore": "error_maps",
    "MedicalModel": "module",
    "Normals": "module",
    "Reconstruction": "reconstruction",
    "WeightsInCheckpoint": "backbone",
    "error_map": "error_maps",
    "feature_network": "backbone",
    "pixels": "module",
    "positive_score": "error_maps",
}

__getattr__, __dir__ = lazy_attribute("model", __name__, _PUBLIC)
