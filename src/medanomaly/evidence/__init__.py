"""Correct figures with their uncertainty, the caveats, and the page that shows them."""
