"""The sample table and its data module; and ``medanomaly.data.<Name>``, the address of every data plugin."""

from medanomaly.registry import lazy_attribute

__getattr__, __dir__ = lazy_attribute("data", __name__)
