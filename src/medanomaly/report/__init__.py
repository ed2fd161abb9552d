"""The page that a reviewer reads: check cards, checklist, intended use, charts and pictures."""
