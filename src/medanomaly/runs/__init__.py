"""A tested run: its folder, its record, and what can be made of it again: a report, scores, another operating point."""
