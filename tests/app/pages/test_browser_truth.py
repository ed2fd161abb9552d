"""What the page may never do: show, mark or write the wrong thing; ask another host; lose a mark without a word."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import grey, wait
from tests.app.serving import Serving
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Debian's chromium")
expect = playwright.expect

#: Notes in which picture, heading and list each time that any of them changes: what a frame of the screen may show.
WITNESS = """
window.seen = [];
setInterval(() => {
  const root = [...document.querySelectorAll("*")].find((host) => host.shadowRoot?.querySelector(".reading"))?.shadowRoot;
  if (!root || window.watching === root) return;
  window.watching = root;
  const look = () => {
    const canvas = root.querySelector(".main canvas.image");
    const grey = canvas.width > 1 ? canvas.getContext("2d").getImageData(1, 1, 1, 1).data[0] : null;
    const row = root.querySelector("ol [aria-current=true] .name");
    return [root.querySelector(".reading").dataset.state, root.querySelector(".title").textContent, row?.textContent, grey];
  };
  const frame = () => { window.seen.push(look()); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}, 20);
"""


def level_of(name: str) -> int:
    return int(re.findall(r"\d+", name)[0])


def kept(serving: Serving) -> dict[tuple[str, str], tuple[str | None, str]]:
    """What the database holds: by name and reader, mark and note."""
    with sqlite3.connect(f"file:{serving.marks / 'marks.sqlite3'}?mode=ro", uri=True) as base:
        rows = base.execute("SELECT name, reader, mark, note FROM marks").fetchall()
    return {(name, reader): (mark, note) for name, reader, mark, note in rows}


@pytest.fixture(scope="module")
def levels(tmp_path_factory) -> list[Path]:
    """Images of one grey each, which their names tell: 200.png is 200 all over."""
    folder = tmp_path_factory.mktemp("levels")
    return [grey(folder / f"{level}.png", level, (40, 40)) for level in (60, 90, 120, 150, 180, 210)]


@pytest.fixture
def serving(mean_bundle, tmp_path):
    with Serving(mean_bundle, marks=tmp_path / "marks") as started:
        yield started
    assert "Traceback" not in started.log


def test_a_list_that_grows_leaves_image_note_and_keys_alone(context, serving, levels, tmp_path):
    desk = Desk(context, serving.url, script=WITNESS)
    desk.drop(*levels[:2], rows=2)
    desk.choose("90.png")
    desk.page.evaluate("window.seen.length = 0")
    desk.note.click()
    desk.note.press_sequentially("a jaunty dark ")
    # More suspicious ones come in above it, and the scoring ends, while the note is half typed.
    desk.page.locator("input[name=files]").set_input_files([str(path) for path in levels[2:]])
    for letter in "aubergine, ku":
        desk.note.press(letter)
    desk.listed(6)
    assert desk.names[0] == "210.png"
    desk.page.keyboard.type("dadju")
    expect(desk.page.locator(".title")).to_have_text("90.png")
    expect(desk.page.locator("ol [aria-current=true] .name")).to_have_text("90.png")
    expect(desk.note).to_have_value("a jaunty dark aubergine, kudadju")
    assert desk.picture()[0, 0, 0] == 90
    assert kept(serving) == {}
    desk.page.keyboard.press("Enter")
    desk.said("note saved")
    assert kept(serving) == {("90.png", "KR"): (None, "a jaunty dark aubergine, kudadju")}
    desk.page.keyboard.press("k")
    desk.heading("120.png")
    seen = [look for look in desk.page.evaluate("window.seen") if look[0] == "ready"]
    assert {tuple(look[1:]) for look in seen} <= {(name, name, level_of(name)) for name in ("90.png", "120.png")}
    desk.sound()


def test_nothing_of_the_next_image_is_shown_or_marked_before_all_of_it_is_there(context, serving, levels):
    desk = Desk(context, serving.url, script=WITNESS)
    held: list[playwright.Route] = []
    hold = False

    def route(one: playwright.Route) -> None:
        held.append(one) if hold else one.continue_()

    desk.page.route(re.compile(r"/read/(picture/\d+/(image|heat)|image)"), route)
    desk.drop(levels[-1], rows=1)
    hold = True
    desk.drop(*levels[:-1], rows=6)
    desk.page.evaluate("window.seen.length = 0")
    desk.page.wait_for_function("() => window.seen.length > 3")
    desk.choose_row("60.png")
    expect(desk.page.locator(".reading")).to_have_attribute("data-state", "loading")
    for key in "adu":
        desk.page.keyboard.press(key)
    desk.said("not there yet")
    desk.press("Disagree")
    assert desk.page.locator(".title").inner_text() == "210.png"
    assert float(desk.page.locator(".panes").evaluate("panes => getComputedStyle(panes).opacity")) < 0.5
    hold = False
    for one in held:
        one.continue_()
    desk.heading("60.png")
    desk.page.keyboard.press("u")
    desk.said("unsure saved")
    assert kept(serving) == {("60.png", "KR"): ("unsure", "")}
    seen = desk.page.evaluate("window.seen")
    assert {tuple(look[1:]) for look in seen if look[1]} == {("210.png", "210.png", 210), ("60.png", "60.png", 60)}


def test_files_are_listed_though_streamlit_loses_what_it_is_told(context, serving, levels):
    desk = Desk(context, serving.url)
    for at, path in enumerate(levels[:3]):
        desk.page.evaluate(
            """[...document.querySelectorAll("*")].map((host) => host.shadowRoot?.querySelector(".drop"))
            .find((root) => root).tell = () => {}"""
        )
        desk.drop(path, rows=at + 1)


#: Whether images are ready to be shown without a further answer.
READY = """numbers => {
  const root = [...document.querySelectorAll("*")].find((host) => host.shadowRoot?.querySelector(".reading")).shadowRoot;
  return numbers.every((number) => root.querySelector(".reading").reading.pictures.ready(number));
}"""


def test_a_step_to_what_was_read_ahead_needs_no_answer(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels, rows=6)
    desk.choose("210.png")
    numbers = [
        level_of(row) for row in desk.page.locator("ol li").evaluate_all("rows => rows.map(row => row.dataset.open)")
    ]
    desk.page.wait_for_function(READY, arg=numbers[:3])
    desk.page.route(re.compile(r"/read/(picture|image)"), lambda route: route.abort())
    for name in ("180.png", "150.png"):
        desk.page.keyboard.press("j")
        desk.heading(name)
        assert desk.picture()[0, 0, 0] == level_of(name)


def test_enter_saves_and_leaves_the_note_and_esc_restores_it(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.note.click()
    desk.page.keyboard.type("a fold")
    desk.page.keyboard.press("Enter")
    desk.said("note saved")
    desk.page.keyboard.press("j")
    desk.heading("90.png")
    expect(desk.note).to_have_value("")
    desk.page.keyboard.press("k")
    desk.heading("120.png")
    expect(desk.note).to_have_value("a fold")
    desk.note.click()
    desk.page.keyboard.type(" or blood, jk")
    desk.page.keyboard.press("Escape")
    expect(desk.note).to_have_value("a fold")
    desk.page.keyboard.press("j")
    desk.heading("90.png")
    # What is left by a click is kept too, for the image that it was written on.
    desk.note.click()
    desk.page.keyboard.type("left by a click")
    desk.choose_row("60.png")
    desk.heading("60.png")
    wait(lambda: len(kept(serving)) == 2)
    assert kept(serving) == {("120.png", "KR"): (None, "a fold"), ("90.png", "KR"): (None, "left by a click")}
    assert desk.picture()[0, 0, 0] == 60


def test_after_a_mark_the_next_unmarked_image_follows_and_z_takes_back_wherever(context, serving, levels):
    desk = Desk(context, serving.url, follow=True)
    desk.drop(*levels[:5], rows=5)
    desk.page.locator(".which button", has_text="unmarked").click()
    desk.choose("180.png")
    desk.page.keyboard.press("a")
    desk.heading("150.png")
    # A second press of the same key at once marks nothing that was not seen.
    desk.page.keyboard.press("j")
    desk.heading("120.png")
    desk.page.keyboard.press("d")
    desk.heading("90.png")
    expect(desk.page.locator("ol .name")).to_have_text(["150.png", "90.png", "60.png"])
    desk.page.keyboard.press("k")
    desk.heading("150.png")
    desk.page.keyboard.press("z")
    desk.heading("120.png")
    expect(desk.page.locator("ol .name")).to_have_text(["150.png", "120.png", "90.png", "60.png"])
    desk.page.keyboard.press("Control+z")
    desk.heading("180.png")
    wait(lambda: kept(serving) == {})
    # Without the switch the image stays, though its row has gone; the next step goes on from there.
    desk.page.get_by_label("After a mark").uncheck()
    desk.choose("120.png")
    desk.page.keyboard.press("u")
    desk.said("unsure saved")
    expect(desk.page.locator("ol .name")).to_have_text(["180.png", "150.png", "90.png", "60.png"])
    desk.heading("120.png")
    desk.page.keyboard.press("j")
    desk.heading("90.png")


def test_a_key_pressed_twice_marks_no_image_that_has_only_just_come(context, serving, levels):
    desk = Desk(context, serving.url, follow=True)
    desk.drop(*levels[:4], rows=4)
    desk.choose("150.png")
    # The second press comes in the moment that the next image is on the screen.
    desk.page.evaluate(
        """() => {
          const root = [...document.querySelectorAll("*")].find((host) => host.shadowRoot?.querySelector(".reading")).shadowRoot;
          const press = () => document.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyA", key: "a", bubbles: true }));
          new MutationObserver(press).observe(root.querySelector(".title"), { childList: true });
          press();
        }"""
    )
    desk.heading("120.png")
    desk.said("only just come")
    assert kept(serving) == {("150.png", "KR"): ("agree", "")}


def test_letters_go_by_their_place_and_can_be_switched_off(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    press = "([code, key]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { code, key, bubbles: true, composed: true }))"
    desk.page.evaluate(press, ["KeyJ", "о"])  # a Cyrillic keyboard
    desk.heading("90.png")
    desk.page.evaluate(press, ["KeyD", "δ"])  # a Greek one
    desk.said("disagree saved")
    desk.page.get_by_label("Single-letter keys").uncheck()
    for key in "jkau":
        desk.page.keyboard.press(key)
    desk.heading("90.png")
    desk.page.keyboard.press("Control+z")
    desk.said("taken back")
    assert kept(serving) == {}


def test_a_field_that_goes_while_someone_types_hands_nothing_on_to_the_keys(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.page.evaluate("document.body.append(Object.assign(document.createElement('input'), { id: 'other' }))")
    desk.page.locator("#other").focus()
    desk.page.keyboard.type("a d")
    desk.page.evaluate("document.getElementById('other').remove()")
    desk.page.keyboard.type("ajduk")
    expect(desk.page.locator(".title")).to_have_text("120.png")
    desk.said("press Esc")
    assert kept(serving) == {}
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("j")
    desk.heading("90.png")


def test_readers_are_asked_once_and_see_one_another_only_beside_their_own(browser, serving, levels):
    first = browser.new_context(viewport={"width": 1280, "height": 800})
    desk = Desk(first, serving.url, reader=None)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    expect(desk.page.get_by_text("It is no proof of identity")).to_be_visible()
    desk.page.keyboard.press("a")
    desk.said("Say who reads")
    desk.page.keyboard.type("Ann Bee")
    desk.page.keyboard.press("Enter")
    desk.said("agree saved")
    desk.choose("60.png")
    desk.page.keyboard.press("d")
    desk.said("disagree saved")
    desk.page.reload()
    desk.listed(3)
    expect(desk.page.locator(".reader b")).to_have_text("Ann Bee")
    expect(desk.page.locator("ol .mark")).to_have_text(["✓ agree", "", "✗ disagree"])
    second = browser.new_context(viewport={"width": 1280, "height": 800})
    other = Desk(second, serving.url, reader="KR")
    other.drop(*levels[:3], rows=3)
    other.choose("120.png")
    expect(other.page.locator("ol .mark")).to_have_text(["", "", ""])
    expect(other.page.locator(".beside li")).to_have_count(0)
    lines = [json.loads(line) for line in other.download("JSON Lines").splitlines()]
    assert {(line["reader"], line["mark"]) for line in lines} == {("", None)}
    other.page.keyboard.press("u")
    expect(other.page.locator(".beside li")).to_have_text(["Ann Bee: agree"])
    other.choose("90.png")
    expect(other.page.locator(".beside li")).to_have_count(0)
    lines = [json.loads(line) for line in other.download("JSON Lines").splitlines()]
    assert [(line["name"], line["reader"], line["mark"]) for line in lines if line["reader"]] == [
        ("120.png", "KR", "unsure"),
        ("120.png", "Ann Bee", "agree"),
    ]
    table = next(csv.DictReader(io.StringIO(other.download("Kappa").decode("utf-8-sig"))))
    assert (table["reader_1"], table["reader_2"], table["images"], table["same"]) == ("Ann Bee", "KR", "1", "0")
    assert kept(serving) == {
        ("120.png", "Ann Bee"): ("agree", ""),
        ("60.png", "Ann Bee"): ("disagree", ""),
        ("120.png", "KR"): ("unsure", ""),
    }
    for page in (desk, other):
        page.sound()
    first.close()
    second.close()


def test_the_slider_tells_the_point_at_work_whichever_question_is_asked(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels, rows=6)
    slider = desk.page.get_by_test_id("stSlider").get_by_role("slider")
    slider.focus()
    for _ in range(15):
        desk.page.keyboard.press("ArrowRight")
    expect(desk.page.get_by_text("This is not the validated point.")).to_be_visible()
    expect(slider).to_have_value("15")
    expect(desk.page.get_by_text("of 100 healthy flagged")).to_contain_text("15")
    found = desk.page.get_by_text(re.compile("of 100 abnormal found")).inner_text()
    value = float(re.search(r"([\d.]+) of 100 abnormal found", found)[1])
    desk.view_side("Sensitivity")
    expect(desk.page.get_by_text("Found of 100 abnormal, at least")).to_be_visible()
    expect(slider).to_have_value(str(int(value)))
    expect(desk.page.get_by_text("of 100 healthy flagged")).to_contain_text("15")
    # What is marked now is kept with the point that the page shows.
    expect(desk.page.locator(".moved")).to_be_visible()
    desk.ready()
    desk.page.keyboard.press("a")
    desk.said("agree saved")
    records = [json.loads(line) for line in desk.download("JSON Lines").splitlines()]
    record = next(record for record in records if record["mark"] == "agree")
    assert record["point"] == "moved"
    assert record["threshold_when_marked"] == record["threshold"]


def test_a_locked_database_leaves_the_images_and_the_mark_is_saved_when_it_is_free(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    holder = sqlite3.connect(serving.marks / "marks.sqlite3", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    desk.page.keyboard.press("d")
    expect(desk.page.locator(".trouble")).to_contain_text("120.png: not saved: ")
    expect(desk.page.locator(".trouble")).to_contain_text("locked")
    desk.page.keyboard.press("j")
    desk.heading("90.png")
    assert desk.picture()[0, 0, 0] == 90
    holder.execute("ROLLBACK")
    holder.close()
    expect(desk.page.locator(".trouble")).to_be_hidden()
    expect(desk.page.locator("ol .mark")).to_have_text(["✗ disagree", "", ""])
    assert kept(serving) == {("120.png", "KR"): ("disagree", "")}
    assert not [error for error in desk.errors if "503" not in error]


def test_half_a_sign_in_a_note_holds_no_mark_up(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    desk.choose("120.png")
    desk.note.evaluate("field => { field.focus(); field.value = 'half \\ud83d'; }")
    desk.note.press("Enter")
    desk.said("note saved")
    expect(desk.note).to_have_value("half �")
    desk.choose("90.png")
    desk.page.keyboard.press("a")
    desk.said("agree saved")
    assert kept(serving) == {("120.png", "KR"): (None, "half �"), ("90.png", "KR"): ("agree", "")}
    desk.sound()


def test_a_mark_that_the_server_never_takes_is_shown_as_unsaved_and_the_others_are_saved(context, serving, levels):
    desk = Desk(context, serving.url)
    desk.drop(*levels[:3], rows=3)
    refused = {"0": 500, "1": 409}  # by the image's number: 60.png and 90.png

    def route(one: playwright.Route) -> None:
        number = str(json.loads(one.request.post_data or "{}")["marks"][0]["number"])
        if number not in refused:
            return one.continue_()
        return one.fulfill(status=refused[number], json={"error": f"not saved: reason {refused[number]}"})

    desk.page.route(re.compile("/read/mark"), route)
    names = {str(item): f"{level}.png" for item, level in enumerate((60, 90, 120))}
    desk.choose(names["0"])
    desk.page.keyboard.press("d")
    desk.note.fill("what was seen")
    desk.note.press("Enter")
    desk.choose(names["1"])
    desk.page.keyboard.press("u")
    desk.choose(names["2"])
    desk.page.keyboard.press("a")
    desk.said("120.png: agree saved")  # after what stood before it was given up
    trouble = desk.page.locator(".trouble")
    expect(trouble).to_contain_text("60.png: not saved: reason 500")
    expect(trouble).to_contain_text("90.png: not saved: reason 409")
    assert kept(serving) == {("120.png", "KR"): ("agree", "")}
    for name, mark, why in ((names["1"], "unsure", 409), (names["0"], "disagree", 500)):
        desk.choose(name)
        button = desk.page.locator(f"[data-mark={mark}]")
        expect(button).to_have_attribute("data-unsaved", "")
        expect(button).to_have_attribute("title", f"not saved: reason {why}")
        expect(button).to_have_attribute("aria-pressed", "false")
    expect(desk.note).to_have_value("what was seen")
    expect(desk.note).to_have_attribute("data-unsaved", "")
    leaving = "() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert desk.page.evaluate(leaving)
    # Marked again when the server is well, it is saved, and is no trouble any more.
    refused.clear()
    desk.page.keyboard.press("d")
    expect(desk.page.locator("[data-mark=disagree]")).to_have_attribute("aria-pressed", "true")
    desk.note.fill("what was seen again")
    desk.note.press("Enter")
    expect(trouble).to_have_text("90.png: not saved: reason 409")
    desk.choose(names["1"])
    desk.page.keyboard.press("u")
    expect(trouble).to_be_hidden()
    assert not desk.page.evaluate(leaving)
    expect(desk.page.locator("[data-unsaved]")).to_have_count(0)
    wait(lambda: len(kept(serving)) == 3)
    assert kept(serving) == {
        ("60.png", "KR"): ("disagree", "what was seen again"),
        ("90.png", "KR"): ("unsure", ""),
        ("120.png", "KR"): ("agree", ""),
    }
    assert not [error for error in desk.errors if "500" not in error and "409" not in error]


def test_the_field_of_the_name_is_called_as_it_is_labelled(context, serving, levels):
    desk = Desk(context, serving.url, reader=None)
    desk.drop(*levels[:1], rows=1)
    expect(desk.page.get_by_role("textbox", name="Who reads?", exact=True)).to_be_visible()


HOSTILE = "![x](http://evil.example/x.png) [click](http://evil.example) www.evil.example http://evil.example/a a@evil.example <img src=http://evil.example/y.png>"


def test_what_files_say_is_text_and_no_other_host_is_asked(context, mean_bundle, levels, tmp_path):
    bundle = shutil.copytree(mean_bundle, tmp_path / "bundle")
    card = json.loads((bundle / "card.json").read_text())
    card["model"], card["data"] = (
        {"name": HOSTILE},
        {"name": HOSTILE, "counts": [{"split": HOSTILE, "label": HOSTILE, "images": 3}]},
    )
    card["operating_point"]["question"] = HOSTILE
    card["intended_use"] = card["licence"] = card["created"] = HOSTILE
    card["caveats"] = [{"severity": level, "title": HOSTILE, "text": HOSTILE} for level in ("warning", "note")]
    card["versions"] = {HOSTILE: HOSTILE}
    card["results"] = {"image": {"normal": HOSTILE, "abnormal": 3, "auroc": {"value": 0.9, "reason": HOSTILE}}}
    (bundle / "card.json").write_text(json.dumps(card))
    other = shutil.copytree(bundle, tmp_path / "other")
    name = "![x](http:__evil.example_x.png) www.evil.example <b>.png"
    shutil.copy(levels[0], tmp_path / name)
    write_dicom(
        tmp_path / "a.dcm",
        np.zeros((8, 8), np.uint16),
        16,
        Modality="CT",
        Manufacturer=HOSTILE[:60],
        ManufacturerModelName="www.evil.example",
    )
    with zipfile.ZipFile(tmp_path / "zip.zip", "w") as archive:
        archive.write(levels[1], HOSTILE.replace("/", "_") + ".png")
        archive.writestr(f"{HOSTILE}.txt", "no image")
    with Serving(bundle, other, marks=tmp_path / "marks") as serving:
        desk = Desk(context, serving.url)
        desk.drop(tmp_path / name, tmp_path / "a.dcm", tmp_path / "zip.zip", rows=3)
        for row in desk.names:
            desk.choose(row)
            for summary in desk.page.locator(".right details:visible > summary").all():
                if not summary.evaluate("summary => summary.parentElement.open"):
                    summary.click()
            if row == "a.dcm":
                expect(desk.page.locator("details.header")).to_contain_text("![x](http://evil.example/x.png)")
        expect(desk.page.get_by_test_id("stSidebar")).to_contain_text("![x](http://evil.example/x.png) [click]")
        desk.view("Evidence")
        expect(desk.page.get_by_text("What other points would cost")).to_be_visible()
        for summary in desk.page.get_by_test_id("stExpander").locator("summary").all():
            summary.click()
        # Two caveats, intended use, two cells of the table, licence, version: each as it was written.
        expect(desk.page.get_by_test_id("stMain").get_by_text("![x](http", exact=False).first).to_be_visible()
        for place in ("stMain", "stSidebar"):
            assert desk.page.get_by_test_id(place).locator("a[href*='evil'], img[src*='evil']").count() == 0
        desk.sound()


def test_a_page_that_tries_is_kept_from_other_hosts_and_frames(context, served):
    desk = Desk(context, served.url)
    told = "url => new Promise(done => { const image = new Image(); image.onload = image.onerror = event => done(event.type); image.src = url; })"
    assert desk.page.evaluate(told, "http://evil.example/x.png") == "error"
    assert desk.page.evaluate("fetch('http://evil.example/').catch(error => 'kept')") == "kept"
    desk.page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), { src: '/' }))")
    wait(
        lambda: (
            sum("Content Security Policy" in error or "Content-Security-Policy" in error for error in desk.errors) >= 3
        )
    )


def test_a_grey_image_of_16_bits_is_shown_through_the_window_that_suits_it(context, serving, tmp_path):
    ramp = (np.arange(1600, dtype=np.uint16) + 500).reshape(40, 40)
    write_image(tmp_path / "deep.png", ramp)
    desk = Desk(context, serving.url)
    desk.drop(tmp_path / "deep.png", rows=1)
    low, high = np.percentile(ramp, (1, 99))
    expected = np.rint(np.clip((ramp - low) / (high - low), 0, 1) * 255)
    assert np.abs(desk.picture()[:, :, 0] - expected).max() <= 1
    desk.sound()
