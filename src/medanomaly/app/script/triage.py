"""What Streamlit runs for each page. Alone in its folder, because Streamlit puts the folder on the import path."""

from medanomaly.app.page import main

main()
