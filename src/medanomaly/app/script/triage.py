"""Entry script of each page for Streamlit. Alone in its folder, which Streamlit puts on the import path."""

from medanomaly.app.pages.triage import main

main()
