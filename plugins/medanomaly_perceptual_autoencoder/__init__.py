"""Autoencoder judged by a frozen network's features instead of pixels (Shvetsova et al. 2021)."""

from medanomaly_perceptual_autoencoder.lightning_model import PerceptualAutoencoder

__all__ = ["PerceptualAutoencoder"]
