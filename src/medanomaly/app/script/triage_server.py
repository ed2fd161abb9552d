"""What Streamlit serves: the page, and beside it the address that takes files in."""

from pathlib import Path

from starlette.routing import Route
from streamlit.starlette import App

from medanomaly.app.receive import PATH, receive

app = App(Path(__file__).with_name("triage.py"), routes=[Route(PATH, receive, methods=["PUT"])])
