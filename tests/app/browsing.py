"""The page as a person uses it, in Debian's Chromium without a window."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("streamlit", reason="the page needs the extra app")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need Playwright (extra dev)")

# A busy machine takes its time.
playwright.expect.set_options(timeout=20_000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Desk:
    """One page in a browser.

    Args:
        context: Of the browser; kept apart from others'.
        url: Of the server.
    """

    def __init__(self, context: playwright.BrowserContext, url: str) -> None:
        self.elsewhere: list[str] = []
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("request", lambda request: self._seen(request.url, url))
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.locator("input[name=files]").wait_for(state="attached")

    def _seen(self, address: str, url: str) -> None:
        self.asked.append(address)
        own = (url, url.replace("http", "ws", 1), "data:", "blob:")
        if not address.startswith(own):
            self.elsewhere.append(address)

    def _told(self, message: playwright.ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}".strip())

    def drop(self, *paths: Path, rows: int) -> None:
        """Hand files over and wait until so many rows are listed and nothing is scored any more."""
        self.page.locator("input[name=files]").set_input_files([str(path) for path in paths])
        self.listed(rows)

    def listed(self, rows: int) -> None:
        expect = playwright.expect
        expect(self.page.locator("ol li")).to_have_count(rows, timeout=30_000)
        expect(self.page.get_by_test_id("stProgress")).to_have_count(0, timeout=30_000)

    @property
    def names(self) -> list[str]:
        return self.page.locator("ol .name").all_inner_texts()

    @property
    def decisions(self) -> list[str | None]:
        return [row.get_attribute("data-decision") for row in self.page.locator("ol button").all()]

    def choose(self, name: str) -> None:
        self.page.locator("ol button", has=self.page.get_by_text(name, exact=True)).click()
        self.heading(name)

    def heading(self, name: str) -> None:
        """Wait until the viewer shows an image."""
        playwright.expect(self.page.locator(".viewer .panes .image").last).to_have_attribute(
            "alt", re.compile(f"^{re.escape(name)}")
        )

    def press(self, name: str) -> None:
        self.idle()  # the viewer is drawn before its buttons are
        self.page.get_by_role("button", name=name).first.click()

    def view(self, name: str) -> None:
        self.page.get_by_test_id("stMain").get_by_role("radio", name=name).or_(
            self.page.get_by_test_id("stMain").locator("button", has_text=re.compile(f"^{name}"))
        ).first.click()

    @property
    def note(self) -> playwright.Locator:
        """The field of the chosen image's note; while the page changes, that of the image before may still be there."""
        field = self.page.get_by_label("Note")
        playwright.expect(field).to_have_count(1)
        return field

    def counts(self) -> str:
        return self.page.locator(".st-key-which").inner_text()

    def picture(self, selector: str = ".panes .image") -> np.ndarray:
        """A layer of the viewer as the browser has it: (H, W, 3 or 4), RGB."""
        source = self.page.locator(f".viewer {selector}").last.get_attribute("src")
        assert source is not None
        data = np.frombuffer(base64.b64decode(source.split(",", 1)[1]), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB)

    def idle(self) -> None:
        """Wait until the page's script is through."""
        self.page.wait_for_timeout(100)
        self.page.locator('[data-test-script-state="notRunning"]').wait_for(state="attached")

    def download(self, name: str) -> bytes:
        self.idle()
        with self.page.expect_download() as started:
            self.press(name)
        return started.value.path().read_bytes()

    def sound(self) -> None:
        """Nothing was asked of elsewhere, nothing failed, and the notice is in sight."""
        assert not self.elsewhere, self.elsewhere
        assert not self.errors, self.errors
        playwright.expect(self.page.get_by_text("Research use only. Not a medical device.")).to_be_in_viewport()
