"""The parent's side of one child process: starts it, exchanges messages with a deadline, ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
import psutil

from smallsight.errors import DecoderFailedError, DecoderNotStartedError
from smallsight.media.alarms import alarms
from smallsight.media.wire import read_header, write_frame

if sys.platform == "linux":
    import fcntl

__all__ = ["ChildEndedError", "ChildProcess", "ChildStop", "ChildTimeoutError"]

_DECODE_CHILD = "smallsight.media.decode_child"
_START_TIMEOUT_S = 60.0
_CLOSE_TIMEOUT_S = 2.0
_PIPE_BYTES = 1 << 20  # of each: a picture for a model passes in one piece
_KEPT_VARIABLES = ("SYSTEMROOT", "LD_LIBRARY_PATH", "TEMP", "TMP", "TMPDIR")


class ChildEndedError(Exception):
    """The child died or broke the protocol. Never leaves this layer."""


class ChildTimeoutError(ChildEndedError):
    """The child was killed because its deadline passed. Never leaves this layer."""


class ChildStop:
    """Ends one child from a thread other than the one that waits for it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_called = False

    @property
    def is_called(self) -> bool:
        """Whether ``call`` has been called."""
        return self._is_called

    @property
    def child_pid(self) -> int | None:
        """The process id of the child while it runs, else None."""
        with self._lock:
            if self._process is None or self._process.returncode is not None:
                return None
            return self._process.pid

    def call(self) -> None:
        """End the child, now or as soon as it is started. Does not wait until it is gone."""
        with self._lock:
            self._is_called = True
            if self._process is not None:
                self._process.kill()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Register the child that has just been started."""
        with self._lock:
            self._process = process
            if self._is_called:
                process.kill()


class ChildProcess:
    """One running child; ``not_in_force`` maps each missing restriction to the reason.

    After any exception from ``exchange`` the child is dead and must be replaced.
    """

    def __init__(
        self,
        argument: int,
        *,
        module: str | None = None,
        more_arguments: Sequence[str] = (),
        stop: ChildStop | None = None,
        must_be_restricted: bool = False,
        passed: Sequence[int] = (),
    ) -> None:
        """Start the decoding child, or another module, with one argument, and wait until it is ready.

        A module gets the argument, the process id of this process, and ``more_arguments``. Open files with
        the descriptors ``passed`` are open there too.

        With ``stop`` another thread can end it at any time. Raises DecoderNotStartedError if it does not
        start, DecoderFailedError if a restriction is missing in one that ``must_be_restricted``.
        """
        module = module or _DECODE_CHILD
        self._process = _start(module, argument, more_arguments, passed)
        self._starter = threading.current_thread()
        if stop is not None:
            stop.watch(self._process)
        self._requests = cast("BinaryIO", self._process.stdin)
        self._replies = cast("BinaryIO", self._process.stdout)
        _enlarge(self._requests)
        _enlarge(self._replies)
        self._resources = psutil.Process(self._process.pid)
        try:
            ready, _ = self.exchange(None, b"", _START_TIMEOUT_S, max_reply_bytes=0)
        except ChildEndedError as error:
            if stop is not None and stop.is_called:
                raise DecoderFailedError("Decoding was cancelled.") from error
            raise DecoderNotStartedError(
                f"The decoding process did not start: {error}.",
                hint=f"check the output of `{sys.executable} -m {module} {argument} {os.getpid()}`.",
            ) from error
        self.not_in_force: dict[str, str] = ready["not_in_force"]
        if must_be_restricted and self.not_in_force:
            self.kill()
            raise DecoderFailedError(
                f"The decoding process lacks restrictions: {', '.join(sorted(self.not_in_force))}.",
                hint="`smallsight doctor` says why; limits.require_sandbox = false decodes without them.",
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the child still runs; on Linux it ends soon after the thread that started it."""
        return self._process.poll() is None and (sys.platform != "linux" or self._starter.is_alive())

    def rss_bytes(self) -> int:
        """Return the child's resident memory, 0 if it cannot be read."""
        try:
            return int(self._resources.memory_info().rss)
        except psutil.Error:
            return 0

    def exchange(
        self,
        header: dict[str, Any] | None,
        data: bytes | memoryview,
        timeout_s: float,
        *,
        max_reply_bytes: int,
    ) -> tuple[dict[str, Any], memoryview]:
        """Send one request, none if ``header`` is None, and return the reply's header and bytes.

        Raises ChildTimeoutError after ``timeout_s``, and ChildEndedError when the child is gone or its reply
        is malformed or longer than ``max_reply_bytes``.
        """
        is_complete = False
        deadline = _Deadline(timeout_s, self._process)
        try:
            with deadline:
                if header is not None:
                    with contextlib.suppress(BrokenPipeError):  # it may have sent the reason before it ended
                        self.send(header, data)
                reply = self.receive(max_reply_bytes)
            is_complete = not deadline.has_passed
        except (EOFError, OSError, ValueError) as error:
            if isinstance(error, ValueError):
                self.kill()
            else:  # it is exiting: wait for its exit code
                self.close()
            if deadline.has_passed:
                raise ChildTimeoutError("its deadline passed") from error
            raise ChildEndedError(self.how_it_ended()) from error
        finally:
            if (
                not is_complete
            ):  # also when interrupted: a partial reply in the pipe would corrupt the next one
                self.kill()
        return reply

    def send(self, header: dict[str, Any], data: bytes | memoryview) -> None:
        """Send one request, for callers that receive in another thread; raises OSError if it cannot."""
        write_frame(self._requests, header, data)

    def receive(self, max_reply_bytes: int) -> tuple[dict[str, Any], memoryview]:
        """Return the header and the bytes of the next reply, for callers that send in another thread.

        Raises EOFError or OSError when the child is gone, ValueError if the reply is malformed or too long.
        """
        reply, num_bytes = self._receive_header(max_reply_bytes)
        parts = self._receive_parts(num_bytes)
        if reply.get("is_early") is True:  # pixels were sent before all were decoded: does that reply hold?
            last, num_bytes = self._receive_header(max_reply_bytes)
            if last.get("holds") is not True or num_bytes:
                del parts  # before there is memory for others
                reply, parts = last, self._receive_parts(num_bytes)
        return reply, parts

    def close(self) -> None:
        """Let the child exit by closing its input, or kill it if it does not."""
        with contextlib.suppress(OSError):  # it died with a request half written
            self._requests.close()
        try:
            self._process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._replies.close()

    def kill(self) -> None:
        """End the child now and wait until it is gone."""
        self._process.kill()
        self.close()

    def end_now(self) -> None:
        """End the child without waiting until it is gone; any thread may call this."""
        self._process.kill()

    def how_it_ended(self) -> str:
        """Return how a child that is gone has ended."""
        code = self._process.returncode
        if code is not None and code < 0:
            try:
                return f"ended by {signal.Signals(-code).name}"
            except ValueError:
                return f"ended by signal {-code}"
        return f"ended with exit code {code}"

    def _receive_header(self, max_reply_bytes: int) -> tuple[dict[str, Any], int]:
        reply, num_bytes = read_header(self._replies)
        if num_bytes > max_reply_bytes:
            raise ValueError("the reply is too long")
        return reply, num_bytes

    def _receive_parts(self, num_bytes: int) -> memoryview:
        parts = np.empty(num_bytes, np.uint8).data  # not cleared first, in large pages if it is large
        if self._replies.readinto(parts) != num_bytes:  # type: ignore[attr-defined]  # it is buffered
            raise EOFError("the reply ended early")
        return parts


class _Deadline:
    """Kills a process unless the block ends in time; after the block, ``has_passed`` no longer changes."""

    def __init__(self, timeout_s: float, process: subprocess.Popen[bytes]) -> None:
        self.has_passed = False
        self._is_over = False
        self._process = process
        self._lock = threading.Lock()
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        self._alarm = alarms.set(self._timeout_s, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        alarms.cancel(self._alarm)
        with self._lock:
            self._is_over = True

    def _expire(self) -> None:
        with self._lock:
            if not self._is_over:
                self.has_passed = True
                self._process.kill()


def _start(
    module: str, argument: int, more_arguments: Sequence[str], passed: Sequence[int]
) -> subprocess.Popen[bytes]:
    # -P and -s with our own PYTHONPATH instead of -I: the child imports from where the parent does, however
    # that was installed, and from nowhere else.
    arguments = (str(argument), str(os.getpid()), *more_arguments)
    command = [sys.executable, "-P", "-s", "-m", module, *arguments]
    is_windows = sys.platform == "win32"
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.sep,
            env=_environment(large_pages=module == _DECODE_CHILD),
            start_new_session=not is_windows,
            pass_fds=tuple(passed),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise DecoderNotStartedError(
            f"The decoding process could not be started: {error.strerror}.",
            hint="check the machine's memory and its limits on processes and open files.",
        ) from error


def _enlarge(pipe: BinaryIO) -> None:
    """Let a pipe hold more, where the system permits it; it takes memory only for what it holds."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _environment(*, large_pages: bool) -> dict[str, str]:
    """Return the few variables that a child needs; none of the parent's secrets."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # Zipped and missing entries are harmless; relative ones would mean another folder in the child.
    paths = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100 - not resolving links
    if large_pages:  # of glibc 2.35 and newer: page faults are a fifth of decoding
        kept["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",  # of glibc: each thread's own heap keeps what it has freed
    }
