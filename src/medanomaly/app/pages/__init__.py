"""What Streamlit draws: the page and its panels."""
