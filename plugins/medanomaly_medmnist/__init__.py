"""MedMNIST sets (.npz), MNIST and Fashion-MNIST (idx files)."""

from medanomaly_medmnist.datamodule import MedMnist

__all__ = ["MedMnist"]
