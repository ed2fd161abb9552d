"""Agreement of readers: which images count, and what is left out."""

from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from medanomaly.app.session.mark_store import Mark
from medanomaly.app.session.reader_pairs import agreements


def test_only_images_that_both_marked_on_the_same_decision_count():
    def mark(name, decision="abnormal"):
        return Mark(name, "", decision, 0.7, 0.5)

    found = agreements(
        {
            ("a", "1"): {"AB": mark("agree"), "KR": mark("agree")},
            ("b", "2"): {"AB": mark("agree"), "KR": mark("disagree")},
            ("c", "3"): {"AB": mark("agree")},
            ("d", "4"): {"AB": mark("agree"), "KR": mark("agree", "normal")},
            ("e", "5"): {"AB": mark(None), "KR": mark("agree")},
            ("f", "6"): {"AB": mark("disagree"), "KR": mark("disagree")},
        }
    )
    assert [(one.readers, one.images, one.same, one.apart) for one in found] == [(("AB", "KR"), 3, 2, 1)]
    assert found[0].kappa == pytest.approx(cohen_kappa_score(["a", "a", "d"], ["a", "d", "d"]))
