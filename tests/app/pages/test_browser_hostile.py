"""The page under a hostile hand: slow answers, held keys, other keyboards, a server that is killed, readers without a name."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import grey, wait
from tests.app.serving import Serving
from tests.app.session.test_worklist import movie

from medanomaly.app.session.mark_store import Key, Mark, Store
from medanomaly.edge.bundle import CARD
from medanomaly.files import sha256

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Debian's chromium")
expect = playwright.expect
PRESS = """([code, key, more]) => document.body.dispatchEvent(
  new KeyboardEvent('keydown', { code, key, bubbles: true, composed: true, cancelable: true, ...more }))"""

#: The grey of a picture, as the browser decoded it.
FIRST = """image => image.decode().then(() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.drawImage(image, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data[0];
})"""


def kept(serving: Serving, reader: str) -> dict[str, list[tuple[str | None, str]]]:
    """What the database holds of a reader: by the image's name, mark and note of each bundle."""
    with sqlite3.connect(f"file:{serving.marks / 'marks.sqlite3'}?mode=ro", uri=True) as base:
        rows = base.execute("SELECT name, mark, note FROM marks WHERE reader = ?", (reader,)).fetchall()
    found: dict[str, list[tuple[str | None, str]]] = {}
    for name, mark, note in rows:
        found.setdefault(name, []).append((mark, note))
    return found


@pytest.fixture(scope="module")
def levels(tmp_path_factory) -> list[Path]:
    """Images of one grey each, which their names tell: 200.png is 200 all over."""
    folder = tmp_path_factory.mktemp("levels")
    return [grey(folder / f"{level}.png", level, (40, 40)) for level in (60, 90, 120, 150, 180, 210)]


@pytest.fixture(scope="module")
def bundles(mean_bundle, tmp_path_factory) -> list[Path]:
    """Two that differ in name alone."""
    other = shutil.copytree(mean_bundle, tmp_path_factory.mktemp("other") / "second")
    card = json.loads((other / CARD).read_text())
    (other / CARD).write_text(json.dumps({**card, "licence": "another"}))
    return [mean_bundle, other]


@pytest.fixture(scope="module")
def serving(bundles, tmp_path_factory):
    with Serving(*bundles, marks=tmp_path_factory.mktemp("marks")) as started:
        yield started
    assert "Traceback" not in started.log


class Held:
    """Requests that are held back until they are let go; only the named ones."""

    def __init__(self, desk: Desk, pattern: str) -> None:
        self.held: list[playwright.Route] = []
        self.holding = True
        self._page = desk.page
        desk.page.route(re.compile(pattern), self._route)

    def _route(self, route: playwright.Route) -> None:
        self.held.append(route) if self.holding else route.continue_()

    def came(self, number: int = 1) -> None:
        for _ in range(200):
            if len(self.held) >= number:
                return
            self._page.wait_for_timeout(50)
        raise AssertionError(f"{len(self.held)} requests came")

    def go(self) -> None:
        self.holding = False
        for route in self.held:
            route.continue_()


def other_bundle(desk: Desk, name: str) -> None:
    desk.page.get_by_test_id("stSelectbox").locator("input").click()
    desk.page.get_by_role("option", name=re.compile(name)).click()
    desk.idle()
    expect(desk.page.get_by_test_id("stSelectbox").locator("input")).to_have_value(re.compile(name))


def test_a_mark_that_is_saved_after_the_bundle_was_changed_is_not_shown_on_the_other(context, serving, levels):
    desk = Desk(context, serving.url, reader="bundle", follow=True)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    held = Held(desk, "/read/mark")
    desk.page.keyboard.press("a")
    held.came()
    other_bundle(desk, "second")
    desk.heading("120.png")
    agree = desk.page.locator("[data-mark=agree]")
    expect(agree).to_have_attribute("aria-pressed", "false")
    held.go()
    wait(lambda: kept(serving, "bundle"))
    desk.page.wait_for_timeout(500)
    expect(agree).to_have_attribute("aria-pressed", "false")
    expect(desk.page.locator(".title")).to_have_text("120.png")
    expect(desk.page.locator("ol .mark")).to_have_text(["", "", ""])
    # What is taken back is the mark in the bundle in which it was made.
    desk.page.keyboard.press("z")
    wait(lambda: not kept(serving, "bundle"))
    desk.sound()


def test_z_takes_back_the_last_mark_though_its_answer_is_on_the_way(context, serving, levels):
    desk = Desk(context, serving.url, reader="last")
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.page.keyboard.press("a")
    desk.said("agree saved")
    desk.page.keyboard.press("j")
    desk.heading("90.png")
    held = Held(desk, "/read/mark")
    desk.page.keyboard.press("d")
    held.came()
    desk.page.keyboard.press("z")
    held.go()
    desk.said("90.png: taken back")
    assert kept(serving, "last") == {"120.png": [("agree", "")]}
    desk.page.keyboard.press("z")
    desk.said("120.png: taken back")
    assert kept(serving, "last") == {}
    # Nor does a look at the evidence make it forget.
    desk.page.keyboard.press("u")
    desk.said("unsure saved")
    desk.view("Evidence")
    expect(desk.page.get_by_text("What other points would cost")).to_be_visible()
    desk.view("Images")
    desk.ready()
    desk.page.keyboard.press("z")
    wait(lambda: kept(serving, "last") == {})


def test_while_someone_writes_no_other_image_comes(context, serving, levels, tmp_path):
    desk = Desk(context, serving.url, reader="writer", follow=True)
    video = movie(tmp_path / "capsule.avi", [20, 230] * 20)
    desk.drop(*levels[:3], video, rows=4)
    desk.choose("120.png")
    held = Held(desk, "/read/mark")
    desk.page.keyboard.press("a")
    held.came()
    desk.note.click()
    desk.page.keyboard.type("half a ")
    held.go()
    wait(lambda: kept(serving, "writer"))
    desk.page.wait_for_timeout(500)
    desk.page.keyboard.type("word")
    expect(desk.page.locator(".title")).to_have_text("120.png")
    desk.page.keyboard.press("Enter")
    wait(lambda: kept(serving, "writer") == {"120.png": [("agree", "half a word")]})
    desk.choose_row("capsule.avi")
    expect(desk.page.locator(".title")).to_contain_text("capsule.avi#")
    desk.ready()
    desk.page.keyboard.press("Shift+Tab")
    desk.page.locator("svg.timeline").focus()
    desk.page.keyboard.press("Home")
    desk.heading("capsule.avi#frame=1")
    desk.page.keyboard.press("p")
    desk.note.click()
    desk.page.keyboard.type("on ")
    frame = desk.page.locator(".title").inner_text()
    desk.page.wait_for_timeout(800)
    desk.page.keyboard.type("one frame")
    expect(desk.page.locator(".title")).to_have_text(frame)
    desk.page.keyboard.press("Enter")
    wait(lambda: kept(serving, "writer").get(frame) == [(None, "on one frame")])
    assert len(kept(serving, "writer")) == 2


def test_a_note_written_before_the_name_is_kept_for_its_image(context, serving, levels):
    desk = Desk(context, serving.url, reader=None)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.note.click()
    desk.page.keyboard.type("a fold")
    desk.choose_row("90.png")
    desk.heading("90.png")
    expect(desk.note).to_have_value("")
    desk.choose("120.png")
    expect(desk.note).to_have_value("a fold")
    desk.choose("60.png")
    desk.page.locator("[name=reader]").fill("late")
    desk.page.keyboard.press("Enter")
    wait(lambda: kept(serving, "late") == {"120.png": [(None, "a fold")]})
    desk.choose("120.png")
    expect(desk.note).to_have_value("a fold")
    expect(desk.page.locator("ol .mark")).to_have_text(["note", "", ""])
    # A note that nobody has saved yet is not lost by a closed page without a word.
    desk.note.click()
    desk.page.keyboard.type(" or")
    leaving = "() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert desk.page.evaluate(leaving)
    desk.page.keyboard.press("Enter")
    wait(lambda: kept(serving, "late") == {"120.png": [(None, "a fold or")]})
    wait(lambda: not desk.page.evaluate(leaving))


def test_a_mark_that_waits_for_the_name_is_of_the_decision_that_was_shown(context, serving, levels):
    desk = Desk(context, serving.url, reader=None)
    desk.drop(levels[2], rows=1)
    desk.page.keyboard.press("a")
    desk.said("Say who reads")
    other_bundle(desk, "second")
    desk.heading("120.png")
    desk.page.locator("[name=reader]").fill("decided")
    desk.page.keyboard.press("Enter")
    desk.said("Not marked: 120.png")
    assert kept(serving, "decided") == {}


def test_who_has_not_said_his_name_sees_nobodys_marks(context, serving, bundles, levels):
    store, digest = Store(serving.marks), sha256(levels[0])
    for bundle in bundles:
        for reader, mark in (("", "agree"), ("Zoe", "disagree")):
            key = Key(sha256(bundle / CARD), "60.png", digest, reader)
            store.put(key, Mark(mark, f"by {reader}", "normal", 0.24, 0.5))
    desk = Desk(context, serving.url, reader=None)
    desk.drop(levels[0], rows=1)
    desk.page.wait_for_timeout(2500)
    desk.choose("60.png")
    expect(desk.page.locator("ol .mark")).to_have_text([""])
    expect(desk.page.locator(".beside li")).to_have_count(0)
    expect(desk.page.locator("[data-mark=agree]")).to_have_attribute("aria-pressed", "false")
    lines = [json.loads(line) for line in desk.download("JSON Lines").splitlines()]
    assert [(line["reader"], line["mark"], line["note"]) for line in lines] == [("", None, "")]
    assert "Zoe" not in desk.download("Kappa").decode()
    desk.press("Without a name")
    expect(desk.page.locator("ol .mark")).to_have_text(["✓ agree"])
    expect(desk.page.locator(".beside li")).to_have_text(["Zoe: disagree, by Zoe"])


@pytest.mark.parametrize("name", ["Ann\u00a0Bee", "Jose\u0301 \u200bP", "x" * 300, "=1+1", "<b>&amp;"])
def test_a_readers_marks_are_in_his_export_however_he_writes_his_name(context, serving, levels, name):
    desk = Desk(context, serving.url, reader=name)
    desk.drop(levels[0], rows=1)
    desk.page.keyboard.press("d")
    desk.said("disagree saved")
    # The panel runs once more after the scoring, and takes a download that has begun with it.
    desk.page.wait_for_timeout(1500)
    line = json.loads(desk.download("JSON Lines").splitlines()[0])
    assert line["mark"] == "disagree"
    assert kept(serving, line["reader"]) == {"60.png": [("disagree", "")]}
    assert line["reader"] in {"Ann Bee", "Jos\u00e9 P", "Jos\u00e9  P", "x" * 80, "…" + "x" * 79, "=1+1", "<b>&amp;"}


def test_a_letter_is_the_one_on_the_key_where_the_keyboard_has_it(context, serving, levels):
    desk = Desk(context, serving.url, reader="keys")
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    press = desk.page.evaluate
    for code, key, more in (
        ("KeyA", "q", {}),  # French: the key that says Q
        ("KeyD", "e", {}),  # Dvorak: the key that says E
        ("KeyA", "ą", {"modifierAltGraph": True}),  # Polish, with AltGr
        ("KeyU", "ú", {"altKey": True}),
        ("KeyD", "d", {"metaKey": True}),
        ("KeyA", "a", {"ctrlKey": True}),
        ("KeyA", "Process", {"isComposing": True}),
    ):
        press(PRESS, [code, key, more])
    desk.page.wait_for_timeout(300)
    assert kept(serving, "keys") == {}
    press(PRESS, ["KeyQ", "a", {}])  # French: the key that says A
    desk.said("agree saved")
    press(PRESS, ["KeyZ", "y", {}])  # German: the key that says Y
    desk.page.wait_for_timeout(300)
    assert kept(serving, "keys") == {"120.png": [("agree", "")]}
    press(PRESS, ["KeyY", "z", {"ctrlKey": True}])  # German: the key that says Z
    desk.said("taken back")
    press(PRESS, ["KeyD", "D", {}])  # Caps Lock
    desk.said("disagree saved")
    press(PRESS, ["KeyZ", "я", {"ctrlKey": True}])  # Russian
    desk.said("taken back")
    press(PRESS, ["", "u", {}])  # a keyboard on the screen has no places
    desk.said("unsure saved")


def test_a_held_key_does_only_what_it_was_pressed_for(context, serving, levels):
    desk = Desk(context, serving.url, reader="held", follow=True)
    desk.drop(*levels, rows=6)
    desk.choose("210.png")
    desk.note.click()
    desk.page.keyboard.down("j")
    desk.page.locator(".title").click()
    for _ in range(3):
        desk.page.keyboard.down("j")  # repeats of the key that was pressed in the field
    desk.page.keyboard.up("j")
    desk.page.wait_for_timeout(300)
    expect(desk.page.locator(".title")).to_have_text("210.png")
    desk.page.locator("[data-mark=agree]").focus()
    for _ in range(20):
        desk.page.keyboard.down("Enter")
        desk.page.wait_for_timeout(60)
    desk.page.keyboard.up("Enter")
    assert {name for name, found in kept(serving, "held").items() if found[0][0]} == {"210.png"}
    desk.heading("180.png")
    desk.page.wait_for_timeout(500)
    desk.page.locator("[data-mark=disagree]").dblclick(delay=20)
    desk.page.wait_for_timeout(700)
    assert {name for name, found in kept(serving, "held").items() if found[0][0]} <= {"210.png", "180.png"}


def test_an_older_answer_of_the_list_does_not_undo_a_newer_one(context, serving, levels):
    desk = Desk(context, serving.url, reader="order")
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.idle()
    held: list[playwright.Route] = []

    def route(one: playwright.Route) -> None:
        # The first answer is made at once and comes last.
        if held:
            one.continue_()
        else:
            held.append(one)
            answers.append(one.fetch())

    answers: list[playwright.APIResponse] = []
    desk.page.route(re.compile("/read/list"), route)
    desk.page.keyboard.press("a")
    for _ in range(100):
        if answers:
            break
        desk.page.wait_for_timeout(50)
    desk.page.keyboard.press("d")
    expect(desk.page.locator("ol .mark")).to_have_text(["✗ disagree", "", ""])
    held[0].fulfill(response=answers[0])
    desk.page.wait_for_timeout(500)
    expect(desk.page.locator("ol .mark")).to_have_text(["✗ disagree", "", ""])


def test_marks_that_wait_outlive_a_look_at_the_evidence_in_their_order(context, serving, levels):
    desk = Desk(context, serving.url, reader="waits")
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    answers = iter([500])
    desk.page.route(
        re.compile("/read/mark"),
        lambda route: route.fulfill(status=status) if (status := next(answers, 0)) else route.abort(),
    )
    desk.page.keyboard.press("a")
    expect(desk.page.locator(".trouble")).to_contain_text("120.png: not saved")
    desk.view("Evidence")
    expect(desk.page.get_by_text("What other points would cost")).to_be_visible()
    desk.view("Images")
    desk.heading("120.png")
    expect(desk.page.locator(".trouble")).to_contain_text("120.png: not saved")
    leaving = "() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert desk.page.evaluate(leaving)
    desk.page.keyboard.press("d")
    desk.page.unroute_all()
    expect(desk.page.locator(".trouble")).to_be_hidden()
    wait(lambda: kept(serving, "waits") == {"120.png": [("disagree", "")]})
    expect(desk.page.locator("ol .mark")).to_have_text(["✗ disagree", "", ""])


def test_a_server_that_was_started_again_shows_nothing_of_the_session_before(context, bundles, levels, tmp_path):
    with Serving(bundles[0], marks=tmp_path / "marks") as first:
        desk = Desk(context, first.url, reader="again")
        desk.drop(*levels[:3], rows=3)
        desk.choose("90.png")
        first.process.kill()
        first.process.wait()
        second = Serving(bundles[0], marks=tmp_path / "marks")
        second._command[second._command.index(str(second.port))] = str(first.port)
        second.port, second.url = first.port, first.url
        with second:
            with suppress(playwright.TimeoutError), desk.page.expect_websocket(timeout=15_000):
                pass  # the page finds the server again
            # The first files find the old session gone, and the page begins a new one.
            desk.page.locator("input[name=files]").set_input_files([str(levels[3])])
            expect(desk.page.locator(".said").first).to_contain_text("session has ended")
            expect(desk.page.locator("ol li")).to_have_count(0)
            expect(desk.page.locator(".right")).to_be_hidden()
            desk.drop(*reversed(levels[3:]), rows=3)
            for name in ("210.png", "180.png", "150.png"):
                desk.choose(name)
                assert desk.picture()[0, 0, 0] == int(name[:3])
                thumbnail = desk.page.locator("ol li", has_text=name).locator("img")
                wait(lambda image=thumbnail, name=name: abs(image.evaluate(FIRST) - int(name[:3])) < 4)
            desk.page.keyboard.press("a")
            desk.said("agree saved")
            assert kept(second, "again") == {"150.png": [("agree", "")]}
