"""Adversarial autoencoder: an unlikely code or a large reconstruction error, robust to contaminated training."""

from medanomaly_adversarial_autoencoder.lightning_model import AdversarialAutoencoder

__all__ = ["AdversarialAutoencoder"]
