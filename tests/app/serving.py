"""The page's server in a process of its own, as a person starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


class Serving:
    """``medanomaly app`` until the end of a with-block; ``status`` then is its exit status, ``log`` all it printed."""

    def __init__(self, *bundles: Path, marks: Path, python: Path | str = sys.executable, options: tuple[str, ...] = ()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.temporary = Path(tempfile.mkdtemp(prefix="sessions-", dir=marks.parent))
        self.marks = marks
        self._out = (self.temporary.parent / f"{self.temporary.name}.log").open("w+")
        self._command = [
            str(python), "-m", "medanomaly.cli", "app", *map(str, bundles), "--port", str(self.port),
            "--marks", str(marks), "--temporary", str(self.temporary), *options,
        ]  # fmt: skip

    def __enter__(self) -> Serving:
        self.process = subprocess.Popen(self._command, stdout=self._out, stderr=subprocess.STDOUT)
        try:
            return self._answering()
        except BaseException:
            self.process.kill()  # a with-block that is not entered is not left either
            raise

    def _answering(self) -> Serving:
        end = time.monotonic() + 180  # a busy machine takes its time
        while True:
            try:
                self.get("/_stcore/health")
                return self
            except (URLError, TimeoutError):
                assert self.process.poll() is None, self.text()
                assert time.monotonic() < end, self.text()
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.status = self.process.wait(30)
        self.log = self.text()
        self._out.close()

    def get(self, path: str) -> str:
        with urlopen(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def text(self) -> str:
        return Path(self._out.name).read_text()
