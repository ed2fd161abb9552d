"""The drawn bundle of the edge's tests."""

from tests.edge.conftest import _own_cache, drawn_bundle, greys  # noqa: F401
