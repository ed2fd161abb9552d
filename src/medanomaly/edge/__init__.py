"""Run a bundle on images, with neither torch nor anomalib: ``Detector(bundle)(image)`` gives score and decision.

Look first into :mod:`.detector`, which scores one image or a stream; :mod:`.bundle` reads what it runs, and
:mod:`.bundle_graph` edits the graph for the export and ``decide``. Scoring whole archives into records is
:mod:`.batch`. :mod:`.self_test` checks an installation, :mod:`.video` reads frames.
"""

from medanomaly.edge.bundle import Bundle, BundleError
from medanomaly.edge.detector import Detector
from medanomaly.edge.result import Failure, Frame, Result

__all__ = ["Bundle", "BundleError", "Detector", "Failure", "Frame", "Result"]
