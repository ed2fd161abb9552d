"""Folders of normal and abnormal images, split by group."""

from medanomaly_folder.datamodule import Folder

__all__ = ["Folder"]
