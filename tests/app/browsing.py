"""The page as a person uses it, in Debian's Chromium without a window."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit", reason="the page needs the extra app")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need Playwright (extra dev)")

# A busy machine takes its time.
playwright.expect.set_options(timeout=60_000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


#: A canvas as the browser has it, as bytes in base64: kilobytes, not a list of numbers.
_PIXELS = """canvas => {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let text = "";
  for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
  return [width, height, btoa(text)];
}"""


class Desk:
    """One page in a browser.

    Args:
        context: Of the browser; kept apart from others'.
        url: Of the server.
        reader: Who reads; None to be asked.
        follow: Whether the next unmarked image follows after a mark.
        script: Run in the page before anything else.
    """

    def __init__(
        self,
        context: playwright.BrowserContext,
        url: str,
        reader: str | None = "KR",
        follow: bool = False,
        script: str = "",
    ) -> None:
        self.elsewhere: list[str] = []
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page = context.new_page()
        known = "" if reader is None else f"localStorage.setItem('medanomaly.reader', {json.dumps(reader)});"
        self.page.add_init_script(
            f"{script};{known} localStorage.setItem('medanomaly.follow', '{'on' if follow else 'off'}');"
        )
        self.page.on("request", lambda request: self._seen(request.url, url))
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.locator("input[name=files]").wait_for(state="attached")
        self.page.locator(".reading").wait_for(state="attached")

    def _seen(self, address: str, url: str) -> None:
        self.asked.append(address)
        own = (url, url.replace("http", "ws", 1), "data:", "blob:")
        if not address.startswith(own):
            self.elsewhere.append(address)

    def _told(self, message: playwright.ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}".strip())

    def drop(self, *paths: Path, rows: int) -> None:
        """Hand files over and wait until ``rows`` are listed and nothing is scored any more."""
        self.page.locator("input[name=files]").set_input_files([str(path) for path in paths])
        self.listed(rows)

    def listed(self, rows: int) -> None:
        expect = playwright.expect
        expect(self.page.locator("ol li")).to_have_count(rows, timeout=60_000)
        expect(self.page.locator(".progress")).to_be_hidden(timeout=60_000)
        self.ready()

    def ready(self) -> None:
        """Wait until all of an image is on the screen."""
        playwright.expect(self.page.locator(".reading")).to_have_attribute("data-state", "ready")

    @property
    def names(self) -> list[str]:
        return self.page.locator("ol .name").all_inner_texts()

    @property
    def decisions(self) -> list[str | None]:
        return [row.get_attribute("data-decision") for row in self.page.locator("ol button").all()]

    def choose(self, name: str) -> None:
        self.choose_row(name)
        self.heading(name)

    def choose_row(self, name: str) -> None:
        """Click a row, and do not wait for its image."""
        self.page.locator("ol button", has=self.page.get_by_text(name, exact=True)).click()

    def heading(self, name: str) -> None:
        """Wait until all of an image is on the screen: heading, picture and list."""
        expect = playwright.expect
        expect(self.page.locator(".title")).to_have_text(name)
        self.ready()
        label = re.compile(f"^{re.escape(name)}")
        expect(self.page.locator(".viewer canvas.image").last).to_have_attribute("aria-label", label)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def view(self, name: str) -> None:
        main = self.page.get_by_test_id("stMain")
        main.get_by_role("radio", name=name).or_(main.locator("button", has_text=re.compile(f"^{name}"))).first.click()

    def view_side(self, name: str) -> None:
        side = self.page.get_by_test_id("stSidebar")
        side.get_by_role("radio", name=name).or_(side.locator("button", has_text=re.compile(f"^{name}"))).first.click()

    def said(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page has said something of what was done."""
        playwright.expect(self.page.locator(".status")).to_contain_text(text)

    @property
    def note(self) -> playwright.Locator:
        """The field of the chosen image's note."""
        return self.page.locator("[name=note]")

    def counts(self) -> str:
        return self.page.locator(".which").inner_text()

    def picture(self, selector: str = "canvas.image") -> np.ndarray:
        """A layer of the viewer as the browser has it: (H, W, 3), RGB; (H, W, 4) of the heat map."""
        width, height, data = self.page.locator(f".viewer {selector}").last.evaluate(_PIXELS)
        pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
        return pixels if "heat" in selector else pixels[:, :, :3]

    def idle(self) -> None:
        """Wait until the page's script is through."""
        self.page.wait_for_timeout(100)
        self.page.locator('[data-test-script-state="notRunning"]').wait_for(state="attached")

    def download(self, name: str) -> bytes:
        # The panel runs once more after the scoring, and takes a download that has begun with it.
        playwright.expect(self.page.locator(".progress")).to_be_hidden()
        self.page.wait_for_timeout(1500)
        self.idle()
        with self.page.expect_download() as started:
            self.press(name)
        return started.value.path().read_bytes()

    def sound(self) -> None:
        """Nothing was asked of elsewhere, nothing failed, and the notice is in sight."""
        assert not self.elsewhere, self.elsewhere
        assert not self.errors, self.errors
        playwright.expect(self.page.get_by_text("Research use only. Not a medical device.")).to_be_in_viewport()
