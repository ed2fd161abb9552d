"""Taking files in: straight to the disk, and never more than the session may hold, however many come at once."""

from __future__ import annotations

import asyncio

import pytest
from tests.app.conftest import grey, wait

pytest.importorskip("streamlit", reason="the page needs the extra app")

from starlette.applications import Starlette
from starlette.routing import Route

from medanomaly.app.endpoints import upload_endpoint
from medanomaly.app.session.mark_store import Store
from medanomaly.app.session.sessions import Sessions
from medanomaly.app.session.uploads import MIB, Limits

APP = Starlette(routes=[Route(upload_endpoint.PATH, upload_endpoint.receive, methods=["PUT"])])


@pytest.fixture
def session(loaded, tmp_path, monkeypatch):
    limits = Limits(file_bytes=3 * MIB, total_bytes=8 * MIB)
    sessions = Sessions([loaded], Store(tmp_path / "marks"), limits, grace=0.05, temporary=tmp_path)
    monkeypatch.setattr(upload_endpoint, "sessions", lambda: sessions)
    yield sessions.connect(None)
    sessions.close()


class Upload:
    """One upload: ``status`` when it is over; its body comes piece by piece from ``pieces``, None breaks it off."""

    def __init__(self, session, name, declared=None):
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.status = 0
        headers = {"x-session": session.token, "x-name": name}
        if declared is not None:
            headers["content-length"] = str(declared)
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
            "path": upload_endpoint.PATH, "raw_path": upload_endpoint.PATH.encode(), "root_path": "",
            "query_string": b"", "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        }  # fmt: skip

    async def _receive(self):
        piece = await self.pieces.get()
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def _send(self, message):
        self.status = message.get("status", self.status)

    async def run(self):
        await APP(self._scope, self._receive, self._send)


def on_disk(session) -> int:
    return sum(path.stat().st_size for path in session.folder.iterdir())


@pytest.mark.parametrize("declares", [True, False])
def test_uploads_in_flight_lie_within_the_sessions_limit(session, declares):
    async def all_at_once():
        uploads = [Upload(session, f"{i}.png", 3 * MIB if declares else None) for i in range(12)]
        tasks = [asyncio.create_task(upload.run()) for upload in uploads]
        for _ in range(3):
            for upload in uploads:
                upload.pieces.put_nowait(bytes(MIB - 1))
        await asyncio.sleep(0.5)
        assert on_disk(session) <= 8 * MIB
        refused = [upload for upload in uploads if upload.status]
        assert {upload.status for upload in refused} == {413}
        assert len(refused) == 10
        for upload in uploads:
            upload.pieces.put_nowait(None)
        await asyncio.gather(*tasks)

    asyncio.run(all_at_once())
    assert on_disk(session) == 0
    assert len(session.files.refused) == 10
    assert all("over the limit of 8 MiB a session" in one.reason for one in session.files.refused)


def put(session, path, declared=None, data=None):
    async def whole():
        upload = Upload(session, path.name, declared)
        for piece in (path.read_bytes() if data is None else data, b""):
            upload.pieces.put_nowait(piece)
        await upload.run()
        return upload.status

    return asyncio.run(whole())


def test_room_is_given_back_when_an_upload_fails_and_kept_by_what_is_taken_in(session, tmp_path):
    broken = Upload(session, "broken.png", 3 * MIB)

    async def breaks_off():
        for piece in (bytes(MIB), None):
            broken.pieces.put_nowait(piece)
        await broken.run()

    for _ in range(5):  # fifteen MiB were announced by now
        asyncio.run(breaks_off())
    assert broken.status == 400
    image = grey(tmp_path / "a.png", 200)
    for _ in range(5):
        assert put(session, image, declared=3 * MIB) == 204
    wait(lambda: not session.files.waiting)
    assert [one.name for one in session.files.accepted] == ["a.png"]
    assert {one.reason for one in session.files.refused} == {"is in the list already."}
    assert session.files.reserve(8 * MIB - image.stat().st_size)
    assert not session.files.reserve(1)


def test_a_file_that_is_too_large_is_refused_before_it_comes_and_its_room_given_back(session, tmp_path):
    image = grey(tmp_path / "a.png", 200)
    assert put(session, image, declared=3 * MIB + 1) == 413
    assert put(session, image, data=bytes(3 * MIB + 1)) == 413
    assert put(session, image, declared="x") == 204
    assert put(session, image, declared=-5) == 204
    assert [one.reason for one in session.files.refused[:2]] == ["is larger than 3 MiB, the limit of a file."] * 2
    wait(lambda: not session.files.waiting)
    assert session.files.reserve(8 * MIB - image.stat().st_size)


def test_a_zip_does_not_unpack_into_the_room_of_files_in_flight(session, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", grey(tmp_path / "a.png", number).read_bytes() + bytes(900_000))
    assert session.files.reserve(6 * MIB)
    assert put(session, tmp_path / "a.zip") == 204
    wait(lambda: not session.files.waiting)
    assert "there is room for" in session.files.refused[0].reason
    session.files.release(6 * MIB)
    assert put(session, tmp_path / "a.zip") == 204
    wait(lambda: not session.files.waiting)
    assert [one.name for one in session.files.accepted] == ["a.zip/0.png", "a.zip/1.png", "a.zip/2.png"]
