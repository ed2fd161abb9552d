"""What model plugins share; and ``medanomaly.models.<Name>``, the address of every model plugin."""

from medanomaly.registry import lazy_attribute

__getattr__, __dir__ = lazy_attribute("model", __name__)
