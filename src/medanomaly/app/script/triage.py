"""What Streamlit runs for each page. Alone in its folder, because Streamlit puts the folder on the import path."""

from medanomaly.app.pages.triage import main

main()
