"""Supervised classifier of normal and abnormal images with class activation maps."""

from medanomaly_classifier.lightning_model import Classifier

__all__ = ["Classifier"]
