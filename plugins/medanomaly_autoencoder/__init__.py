"""Plain convolutional autoencoder: what it cannot reconstruct is anomalous."""

from medanomaly_autoencoder.lightning_model import Autoencoder

__all__ = ["Autoencoder"]
