"""Entry script of Streamlit's server: the page, and the addresses for uploads and pictures."""

from pathlib import Path

from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.starlette import App

from medanomaly.app.endpoints.routes import ROUTES
from medanomaly.app.endpoints.security_headers import Guard, inline_hashes, streamlit_page
from medanomaly.app.endpoints.upload_endpoint import PATH, receive
from medanomaly.app.server import hosts

app = App(
    Path(__file__).with_name("triage.py"),
    routes=[Route(PATH, receive, methods=["PUT"]), *ROUTES],
    middleware=[Middleware(Guard, hosts=hosts(), hashes=inline_hashes(streamlit_page()))],
)
