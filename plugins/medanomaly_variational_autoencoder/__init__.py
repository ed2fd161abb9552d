"""Variational autoencoder, optionally context-encoding: scored by reconstruction, by its code, or by both."""

from medanomaly_variational_autoencoder.lightning_model import VariationalAutoencoder

__all__ = ["VariationalAutoencoder"]
