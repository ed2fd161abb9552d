"""The addresses of the reading part: one image, one point, one reader an answer; marks that name their image twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import cv2
import numpy as np
import pytest
from tests.app.conftest import grey, hand_over, wait
from tests.imaging.dicom_files import write_dicom

pytest.importorskip("streamlit", reason="the page needs the extra app")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from medanomaly.app.endpoints import asking
from medanomaly.app.endpoints.routes import ROUTES
from medanomaly.app.endpoints.security_headers import Guard, inline_hashes, streamlit_page


class Answer:
    """What came back: ``status``, ``headers``, ``body``, and ``json``."""

    def __init__(self, messages):
        self.status = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def json(self):
        return json.loads(self.body)


def call(app, path, headers=None, method="GET", body=b"", host="127.0.0.1:8501", **query):
    """One request to an ASGI app."""
    messages, given = [], [{"type": "http.request", "body": body, "more_body": False}]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": urlencode(query).encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"host": host, **(headers or {})}.items()],
    }  # fmt: skip

    async def receive():
        return given.pop(0) if given else {"type": "http.disconnect"}

    async def send(message):
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    return Answer(messages)


class Reader:
    """One reader at one session."""

    def __init__(self, session, name="KR"):
        self.app = Starlette(routes=ROUTES)
        self.headers = {"X-Session": session.token, "X-Reader": quote(name)}

    def get(self, path, **query):
        while (answer := call(self.app, f"/read/{path}", self.headers, **query)).status == 202:
            time.sleep(0.05)
        return answer

    def mark(self, *marks, **query):
        return call(self.app, "/read/mark", self.headers, "POST", json.dumps({"marks": marks}).encode(), **query)


@pytest.fixture
def session(sessions, monkeypatch, tmp_path):
    monkeypatch.setattr(asking, "sessions", lambda: sessions)
    found = sessions.connect(None)
    dark, bright = grey(tmp_path / "dark.png", 40), grey(tmp_path / "bright.png", 220)
    hand_over(found.files, dark, bright)
    work = found.worklist(0)
    wait(lambda: len(work.items) == 2)
    return found


@pytest.fixture
def reader(session):
    return Reader(session)


def digest(session, number):
    return session.worklist(0).items[number].file.sha256


def test_the_list_is_told_anew_only_when_it_changed(reader, session, tmp_path):
    first = reader.get("list").json
    assert [row["name"] for row in first["rows"]] == ["bright.png", "dark.png"]
    assert (first["order"], first["busy"], first["counts"]["unmarked"]) == ([1, 0], False, 2)
    assert "order" not in reader.get("list", have=first["state"]).json
    hand_over(session.files, grey(tmp_path / "third.png", 130))
    wait(lambda: len(session.worklist(0).items) == 3)
    assert reader.get("list", have=first["state"]).json["order"] == [1, 2, 0]
    assert reader.get("list", which="normal").json["order"] == [0]
    assert reader.get("list", threshold="0.1").json["counts"]["abnormal"] == 3


def test_all_of_an_answer_is_of_one_image_and_one_point(reader, session):
    own, moved = reader.get("image/1").json, reader.get("image/1", threshold="0.95").json
    assert (own["name"], own["decision"], own["moved"]) == ("bright.png", "abnormal", False)
    assert (moved["decision"], moved["moved"], moved["threshold"]) == ("normal", True, float(np.float32(0.95)))
    assert moved["badge"].startswith("normal")
    assert own["sha256"] == digest(session, 1)
    assert own["picture"]["alt"].startswith("bright.png: abnormal")


def test_pictures_come_as_their_contract_says(reader, session, tmp_path):
    ramp = np.arange(400, dtype=np.uint16).reshape(20, 20)
    write_dicom(tmp_path / "ct.dcm", ramp, 16, Modality="CT", PatientName="Doe^Jane", Manufacturer="**bold**")
    hand_over(session.files, tmp_path / "ct.dcm")
    wait(lambda: len(session.worklist(0).items) == 3)
    small = reader.get("picture/1/image", size=10)
    shown = cv2.imdecode(np.frombuffer(small.body, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (8, 10, 3)
    assert abs(int(shown.mean()) - 220) <= 1
    assert reader.get("picture/1/values").status == 404
    assert reader.get("picture/1/else").status == 404
    values = reader.get("picture/2/values", size=0)
    told = json.loads(values.headers["x-picture"])
    stored = np.frombuffer(values.body, "<u2").reshape(told["height"], told["width"])
    np.testing.assert_array_equal(told["slope"] * stored + told["intercept"], ramp)
    assert values.headers["cache-control"] == "no-store"
    plain, asked = reader.get("header/2").json["header"], reader.get("header/2", personal="1").json["header"]
    assert ["Manufacturer", "**bold**"] in plain
    assert "Doe^Jane" not in json.dumps(plain)
    assert "Doe^Jane" in json.dumps(asked)
    assert reader.get("header/1").status == 404


def test_without_the_sessions_secret_there_is_nothing(session):
    stranger = Reader(session)
    for secret in ("guess", ""):
        stranger.headers["X-Session"] = secret
        for path in ("list", "image/0", "picture/0/image", "header/0", "compare/0"):
            assert stranger.get(path).status == 403
        assert stranger.mark({"number": 0, "sha256": digest(session, 0), "mark": "agree"}).status == 403
    assert call(stranger.app, "/read/code/reading.js").status == 200
    assert call(stranger.app, "/read/code/../web.py").status == 404


@pytest.mark.parametrize("query", [{"bundle": 7}, {"bundle": "x"}, {"threshold": "nan"}, {"threshold": "x"}])
def test_what_makes_no_sense_is_refused(reader, query):
    assert reader.get("list", **query).status == 400


def test_a_mark_whose_number_and_digest_disagree_is_refused(reader, session):
    refused = reader.mark({"number": 0, "sha256": digest(session, 1), "mark": "agree"})
    assert refused.status == 409
    assert "another image" in refused.json["error"]
    both = reader.mark(
        {"number": 1, "sha256": digest(session, 1), "mark": "agree"},
        {"number": 0, "sha256": digest(session, 1), "mark": "agree"},
    )
    assert both.status == 409
    assert session.sessions.store.of_bundle(session.sessions.bundles[0].hash) == {}
    for wrong in (
        {"number": 0, "sha256": digest(session, 0), "mark": "perhaps"},
        {"number": 99, "sha256": "x"},
        {"number": "0"},
    ):
        assert reader.mark(wrong).status in (400, 404, 409)


def test_a_mark_is_of_the_point_that_was_shown(reader, session):
    saved = reader.mark({"number": 1, "sha256": digest(session, 1), "mark": "disagree"}, threshold="0.95").json
    assert saved["said"] == "saved"
    kept = session.sessions.store.of_bundle(session.sessions.bundles[0].hash)[("bright.png", digest(session, 1))]["KR"]
    assert (kept.decision, kept.threshold, kept.mark) == ("normal", float(np.float32(0.95)), "disagree")
    assert saved["before"] == [{"number": 1, "sha256": digest(session, 1), "mark": None, "note": "", "threshold": None}]
    reader.mark({"number": 1, "sha256": digest(session, 1), "note": "a note"})
    again = reader.get("image/1").json["own"]
    assert (again["mark"], again["note"]) == ("disagree", "a note")
    reader.mark(*({**one, "mark": None} for one in saved["before"]))
    assert reader.get("image/1").json["own"]["mark"] is None


def test_a_mark_keeps_its_decision_whatever_is_written_or_taken_back_later(reader, session):
    one = {"number": 1, "sha256": digest(session, 1)}
    reader.mark({**one, "mark": "agree"})

    def kept():
        return session.sessions.store.of_bundle(session.sessions.bundles[0].hash)[("bright.png", digest(session, 1))][
            "KR"
        ]

    own = kept()
    assert own.decision == "abnormal"
    reader.mark({**one, "note": "at another point"}, threshold="0.95")
    assert (kept().decision, kept().threshold, kept().note) == ("abnormal", own.threshold, "at another point")
    before = reader.mark({**one, "mark": "disagree"}, threshold="0.95").json["before"][0]
    assert (kept().decision, before["threshold"]) == ("normal", own.threshold)
    reader.mark({**one, "mark": before["mark"], "threshold": before["threshold"]}, threshold="0.95")
    assert (kept().mark, kept().decision, kept().threshold) == ("agree", "abnormal", own.threshold)
    for wrong in ("0.5", float("inf"), True):
        assert reader.mark({**one, "mark": "agree", "threshold": wrong}).status == 400


def test_before_anyone_says_who_reads_no_mark_is_seen_or_kept(reader, session):
    nobody, nameless = Reader(session), Reader(session, "")
    del nobody.headers["X-Reader"]
    one = {"number": 1, "sha256": digest(session, 1), "mark": "agree"}
    for who in (reader, nameless):
        assert who.mark(one).status == 200
    assert (nobody.get("image/1").json["own"], nobody.get("image/1").json["others"]) == ({"mark": None, "note": ""}, [])
    assert nobody.get("list").json["marked"] == []
    assert nobody.mark(one).status == 409
    assert nameless.get("image/1").json["own"]["mark"] == "agree"


def test_others_are_seen_beside_ones_own_mark_and_not_before(session):
    one, other = Reader(session, "Ann Bee"), Reader(session, "Κώστας")
    assert one.mark({"number": 1, "sha256": digest(session, 1), "mark": "agree", "note": "clear"}).status == 200
    for path in ("image/1", "list"):
        assert "clear" not in other.get(path).body.decode()
        assert "agree" not in json.dumps([other.get("image/1").json["own"], other.get("list").json["rows"]])
    other.mark({"number": 1, "sha256": digest(session, 1), "note": "not yet"})
    assert other.get("image/1").json["others"] == []
    now = other.mark({"number": 1, "sha256": digest(session, 1), "mark": "unsure"}).json["now"][0]
    assert now["others"] == [{"reader": "Ann Bee", "mark": "agree", "note": "clear"}]
    assert one.get("image/1").json["others"] == [{"reader": "Κώστας", "mark": "unsure", "note": "not yet"}]
    assert other.get("image/1").json["own"] == {"mark": "unsure", "note": "not yet"}


def test_a_locked_database_leaves_the_images_and_says_why(reader, session):
    reader.mark({"number": 0, "sha256": digest(session, 0), "mark": "agree"})
    holder = sqlite3.connect(session.sessions.store.path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    time.sleep(2.1)  # what was read last counts as fresh for two seconds
    start = time.monotonic()
    listed = reader.get("list").json
    assert "marks cannot be read" in listed["trouble"]
    assert [row["mark"] for row in listed["rows"]] == ["", "✓ agree"]
    assert reader.get("image/1").status == 200
    assert time.monotonic() - start < 2
    refused = reader.mark({"number": 1, "sha256": digest(session, 1), "mark": "agree"})
    assert refused.status == 503
    assert refused.json["error"].startswith("not saved: ")
    assert "locked" in refused.json["error"]
    holder.execute("ROLLBACK")
    holder.close()
    assert reader.mark({"number": 1, "sha256": digest(session, 1), "mark": "agree"}).status == 200


def test_however_many_wait_for_a_locked_database_answers_come_within_two_seconds(reader, session):
    one = {"number": 1, "sha256": digest(session, 1), "mark": "agree"}
    holder = sqlite3.connect(session.sessions.store.path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")

    def timed(ask):
        begun = time.monotonic()
        return ask().status, time.monotonic() - begun

    with ThreadPoolExecutor(12) as pool:
        writers = [pool.submit(timed, lambda k=k: Reader(session, f"R{k}").mark(one)) for k in range(8)]
        time.sleep(0.1)
        readers = [pool.submit(timed, lambda: reader.get("list")) for _ in range(4)]
        assert {status for status, _ in (writer.result() for writer in writers)} == {503}
        assert {status for status, _ in (asked.result() for asked in readers)} == {200}
        assert max(asked.result()[1] for asked in (*writers, *readers)) < 2
    assert "marks cannot be read" in reader.get("list").json["trouble"]
    holder.close()
    assert reader.mark(one).status == 200


def test_an_image_that_is_gone_is_said_without_its_path(reader, session):
    path = session.worklist(0).items[0].file.path
    path.unlink()
    answer = reader.get("image/0")
    assert answer.status == 422
    assert str(path) not in answer.body.decode()
    assert reader.get("image/1").status == 200


def test_a_picture_that_takes_long_is_asked_for_again(reader, session, monkeypatch):
    monkeypatch.setattr(asking, "_PATIENCE", 0.05)
    views = session.sessions.views
    monkeypatch.setattr(views, "layer", lambda *a, real=views.layer: time.sleep(0.3) or real(*a))
    start = time.monotonic()
    assert call(reader.app, "/read/picture/0/image", reader.headers).status == 202
    assert time.monotonic() - start < 0.3
    assert reader.get("picture/0/image").status == 200


def one_of(session, **members):
    return {"number": 1, "sha256": digest(session, 1), "mark": "agree", **members}


@pytest.mark.parametrize(
    ("note", "stored"),
    [
        ("half \ud83d", "half �"),
        ("\ud83d\ud83d\ude00 \ude00", "�😀 �"),
        ("all 😀 of it", "all 😀 of it"),
        ("\x00 a\u202eb", "\x00 a\u202eb"),
    ],
)
def test_what_utf8_cannot_hold_of_a_note_is_replaced_and_the_mark_kept(reader, session, note, stored):
    saved = reader.mark(one_of(session, note=note))
    assert saved.status == 200
    assert saved.json["now"][0]["own"] == {"mark": "agree", "note": stored}
    kept = session.sessions.store.of_bundle(session.sessions.bundles[0].hash)
    assert kept["bright.png", digest(session, 1)]["KR"].note == stored
    assert reader.get("image/1").json["own"]["note"] == stored


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"marks":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", b"null", b"7", b"[]", b"{}",
        b'{"marks": 7}', b'{"marks": null}', b'{"marks": "abc"}', b'{"marks": {"a": 1}}', b'{"marks": [[]]}',
        b'{"marks": [null]}', b'{"marks": [{}]}', b"\xff\xfe{", b'{"marks": [{"number": ' + b"9" * 5000 + b', "sha256": ""}]}',
    ],
)  # fmt: skip
def test_a_damaged_request_is_refused_in_words(reader, body):
    refused = call(reader.app, "/read/mark", reader.headers, "POST", body)
    assert refused.status == 400
    assert refused.json["error"] == "not saved: the request is damaged"


HUGE = "9" * 400


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("threshold", value)
        for value in (HUGE, f"-{HUGE}", "1e308", "-1e308", "1e39", "1e999", "NaN", "-Infinity", "true", '"0.5"', "[]", "{}")
    ]
    + [("number", value) for value in ("true", "false", "-1", "1.0", "1e3", '"1"', "null", "[]", "{}", HUGE, "NaN", "2")]
    + [("sha256", value) for value in ("true", "null", "7", "[]", "{}", '""', '"\\ud800"', f'"{HUGE}"')]
    + [("mark", value) for value in ("true", "7", "[]", "{}", '["agree"]', '""', '"\\ud800"', f'"{HUGE}"', "NaN", HUGE)]
    + [("note", value) for value in ("true", "7", "null", "[]", "{}", '["a"]', f'"{"x" * 2001}"', "NaN", HUGE)],
)  # fmt: skip
def test_a_wrong_member_of_a_mark_is_refused_and_nothing_kept(reader, session, member, value):
    one = {"number": 1, "sha256": digest(session, 1), "mark": "agree", "note": "n"}
    members = [f'"{name}": {json.dumps(known)}' for name, known in one.items() if name != member]
    body = f'{{"marks": [{{{", ".join([*members, f""""{member}": {value}"""])}}}]}}'
    refused = call(reader.app, "/read/mark", reader.headers, "POST", body.encode())
    assert refused.status in (400, 404, 409)
    assert refused.json["error"]
    assert session.sessions.store.of_bundle(session.sessions.bundles[0].hash) == {}


BROKEN = ("", " ", "-1", "x", "nan", "inf", "-inf", "1e39", "1e308", "-1e308", "1e999", "0x1", "9" * 5000, f"-{HUGE}",
          "\x00", "\ud7ff", "٣", "²", "../x", "<b>", "x" * 10_000)  # fmt: skip
EXTREME = ("3.4e38", "-3.4e38", "1e-45", "-0.0", "0", "1_0")
PATHS = ("list", "image/1", "picture/1/image", "picture/1/overlay", "picture/1/heat", "picture/1/values", "header/1",
         "compare/1")  # fmt: skip


@pytest.mark.parametrize("name", ["bundle", "threshold", "size", "by", "page", "which", "have", "ahead", "personal"])
def test_a_broken_parameter_is_never_a_failure_of_the_server(session, name):
    reader = Reader(session)
    for path in PATHS:
        for value in (*BROKEN, *EXTREME):
            answer = reader.get(path, **{name: value})
            assert answer.status < 500, (path, name, value)
            if answer.status == 200 and answer.headers["content-type"] == "application/json":
                json.loads(answer.body, parse_constant=pytest.fail)  # of NaN and infinity


def test_a_broken_address_or_header_is_never_a_failure_of_the_server(session):
    reader = Reader(session)
    for number in (*BROKEN, "2", HUGE, "1.0", "true"):
        for path in ("image/{}", "picture/{}/image", "header/{}", "compare/{}", "picture/1/{}", "code/{}"):
            assert reader.get(path.format(number)).status in (200, 400, 404, 422), (path, number)
    for name in (
        quote("KR\u00ad"),
        quote("\ud7ff"),
        "%ed%a0%80",
        "%ff%fe",
        "x" * 5000,
        quote("x" * 5000),
        "%",
        "%00",
        "",
    ):
        reader.headers["X-Reader"] = name
        assert reader.get("list").status == 200
        assert reader.mark(one_of(session, mark="disagree")).status == 200, name
        assert reader.get("image/1").status == 200


@pytest.mark.parametrize("path", [*PATHS, "mark", "code/ask.js", "nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
def test_another_method_is_never_a_failure_of_the_server(reader, path, method):
    answer = call(reader.app, f"/read/{path}", reader.headers, method, b"{}")
    known = ("POST",) if path == "mark" else ("GET", "HEAD") if path != "nothing" else ()
    assert answer.status in ((200, 202, 400, 404) if method in known else (404, 405))


async def _hello(request):
    return PlainTextResponse("hello", headers={"Content-Security-Policy": "default-src *"})


@pytest.fixture
def guarded():
    hosts = ("127.0.0.1", "localhost", "[::1]")
    return Guard(Starlette(routes=[Route("/", _hello)]), hosts, inline_hashes(streamlit_page()))


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost", "[::1]:9", "LOCALHOST:1"])
def test_every_answer_has_the_policy(guarded, host):
    for path, status in (("/", 200), ("/nothing", 404)):
        answer = call(guarded, path, host=host)
        policy = answer.headers["content-security-policy"]
        assert answer.status == status
        assert "frame-ancestors 'none'" in policy
        assert "'unsafe-inline'" not in policy.split("script-src", 1)[1].split(";")[0]
        assert "'unsafe-eval'" not in policy
        assert "*" not in policy
        assert f"ws://{host}" in policy


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1;script-src *", "[::1]evil", "127.0.0.1:99999999"]
)
def test_other_names_are_refused(guarded, host):
    assert call(guarded, "/", host=host).status == 403


def test_any_name_is_served_where_others_are_let_in_but_never_one_that_ends_a_rule():
    guarded = Guard(Starlette(routes=[Route("/", _hello)]), None, [])
    assert call(guarded, "/", host="scanner.hospital.example:80").status == 200
    assert call(guarded, "/", host="a.example; script-src *").status == 403


def test_streamlits_own_script_runs_by_its_hash():
    assert len(inline_hashes(streamlit_page())) == 1
