"""What Streamlit draws: the page and its panels.

Look first into :mod:`.triage`, which runs from top to bottom after every click and calls one module for each panel.
"""
