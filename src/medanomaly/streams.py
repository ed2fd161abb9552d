"""Make the standard streams safe first of all: no stream of the caller's ends a command's work.

A stream may be closed (``2>&-``), its reader may go (``| head -1``), its disk may be full, and its encoding may lack
letters of a file's name. Python answers with None for a stream, or with an exception at whichever line prints next: in
the middle of a training, or after a batch, whose status is then wrong. Here instead:

- A closed stream is the null device, also for libraries that write to the descriptor itself. Otherwise the next file
  that is opened, such as ``results.jsonl``, would take its number, and with it their messages.
- What cannot be written is dropped, and the work goes on. The exit status says so at the end, for standard output:
  see :meth:`Streams.status`.
- A letter that the encoding lacks is written as ``\\u00e9``, which JSON reads as the same letter.

https://docs.python.org/3/library/signal.html#note-on-sigpipe advises against the default action of SIGPIPE, which would
end a program whenever any pipe or socket of its own closes; it has the exception caught instead.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

#: Status of a command whose output was not read to its end, like that of a program that SIGPIPE ended: 128 + 13.
UNREAD = 141
#: Status of a command that is done, but whose output could not be written.
_UNWRITTEN = 1

_ESCAPED = "medanomaly-escape"
#: Error handlers that a person did not choose: they raise, or write bytes that are no text.
_UNCHOSEN = ("strict", "surrogateescape")


def watched() -> bool:
    """Whether somebody looks at standard error, so that progress is worth showing."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed by the program that calls us
        return False


class Streams:
    """The standard streams, safe from here on.

    Streams that a program put in their place, such as a test's, are left as they are.
    """

    def __init__(self) -> None:
        self._before = sys.stdin, sys.stdout, sys.stderr
        _fill_descriptors()
        codecs.register_error(_ESCAPED, _escaped)
        if sys.stdin is None:
            sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        self._out = _Tolerant.of(sys.stdout, 1)
        self._err = _Tolerant.of(sys.stderr, 2)
        if self._out is not None:
            sys.stdout = _text(self._out, self._before[1])
        if self._err is not None:
            sys.stderr = _text(self._err, self._before[2])

    def status(self, status: int) -> int:
        """A command's exit status, from that of its work: both streams are flushed first.

        A failure of the work stands. Else it is 141 if the reader of standard output went before its end, and 1, with a
        line on standard error, if standard output could not be written, as on a full disk. What is lost of standard
        error changes nothing.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # of a stream that is not ours
                stream.flush()
        error = self._out.error if self._out is not None else None
        if error is None:
            return status
        if isinstance(error, BrokenPipeError):
            return status or UNREAD
        reason = error.strerror or error
        print(f"medanomaly: standard output cannot be written ({reason}): some of it is missing.", file=sys.stderr)
        return status or _UNWRITTEN

    def restore(self) -> None:
        """Put back the streams that were there, for a program that goes on."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = self._before


class _Tolerant(io.FileIO):
    """A descriptor to write to, which takes everything and keeps the first error."""

    error: OSError | None = None

    @classmethod
    def of(cls, stream: Any, descriptor: int) -> _Tolerant | None:
        """For a stream that is missing, or Python's own on this descriptor; None for any other, such as a console."""
        if stream is None:
            return cls(descriptor, "wb", closefd=False)
        raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
        if type(stream) is io.TextIOWrapper and type(raw) is io.FileIO and raw.fileno() == descriptor:
            stream.flush()
            return cls(descriptor, "wb", closefd=False)
        console = stream in (sys.__stdout__, sys.__stderr__) and isinstance(stream, io.TextIOWrapper)
        if console and stream.errors in _UNCHOSEN:
            stream.reconfigure(errors=_ESCAPED)
        return None

    def write(self, data: Any, /) -> int:
        """Write all of it, or drop the rest."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            try:
                written = super().write(view[done:])
                if written is None:  # a descriptor that another program set to non-blocking, and which is full
                    select.select([], [self.fileno()], [])
                    continue
                done += written
            except OSError as error:
                self.error = self.error or error
                if isinstance(error, BrokenPipeError):  # programs that we start would be ended by it
                    _to_null(self.fileno())
                break
        return len(view)


def _text(raw: _Tolerant, before: Any) -> io.TextIOWrapper:
    """A text stream over a descriptor, with the properties of the one it takes the place of."""
    if before is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", _ESCAPED)
    errors = _ESCAPED if before.errors in _UNCHOSEN else before.errors
    unbuffered = isinstance(before.buffer, io.RawIOBase)
    buffer: Any = raw if unbuffered else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer, before.encoding, errors, None, line_buffering=before.line_buffering, write_through=before.write_through
    )


def _fill_descriptors() -> None:
    """Open the null device on 0, 1 and 2 where nothing is open."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_null(descriptor)


def _to_null(descriptor: int) -> None:
    with suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        os.set_inheritable(descriptor, True)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, and lone surrogates, as JSON escapes them: ``\\u00e9``, or two for letters beyond."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end
