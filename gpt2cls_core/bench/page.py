"""How long the page takes to answer for the first time: from the start of the process to HTTP 200."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import Gpt2clsError
from .timing import Timing, in_turns

__all__ = ["APP", "answering", "answers", "free_port", "page_timings", "seconds_to_http_200"]

PAGE_TIMEOUT = 120.0  # seconds
ROOT = Path(__file__).resolve().parents[2]
IMPORTS = ("-c", "import gradio, torch, transformers")
APP = ("-m", "app", "--no-browser")


def seconds_to_http_200(arguments: Sequence[str], port: int, *, timeout: float = PAGE_TIMEOUT) -> float:
    """Start ``python *arguments``, wait until 127.0.0.1:`port` answers ``GET /`` with 200, and end the process.

    Args:
        timeout: seconds to wait.

    Returns:
        Seconds from the start of the process.

    Raises:
        Gpt2clsError: the process ended by itself, or nothing answered in time.
    """
    start = time.perf_counter()
    with answering(arguments, port, timeout=timeout):
        return time.perf_counter() - start


@contextmanager
def answering(
    arguments: Sequence[str], port: int, *, timeout: float = PAGE_TIMEOUT
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of ``python *arguments`` from its first answer on; it is ended afterwards, whatever happens.

    Raises:
        Gpt2clsError: it ended by itself before it answered, or did not answer in time.
    """
    command = " ".join(("python", *arguments))
    start = time.perf_counter()
    process = _python(arguments)
    try:
        while not answers(port):
            if process.poll() is not None:
                raise Gpt2clsError(
                    f"{command} ended with status {process.returncode} before it answered; run it to see why."
                )
            if time.perf_counter() - start > timeout:
                raise Gpt2clsError(f"{command} did not answer within {timeout:.0f} s.")
            time.sleep(0.01)
        yield process
    finally:
        _end(process)


def page_timings(repeats: int = 7) -> list[Timing]:
    """Time ``python -m app`` to its first HTTP 200, and the heavy imports alone, which are the yardstick (last).

    Raises:
        Gpt2clsError: one of the two fails.
    """

    def page() -> None:
        port = free_port()
        seconds_to_http_200((*APP, "--port", str(port)), port)

    def imports() -> None:
        if _python(IMPORTS).wait() != 0:
            raise Gpt2clsError("gradio, torch and transformers can't be imported; install the project first.")

    runs = in_turns({"python -m app, to HTTP 200": page, "import gradio, torch, transformers": imports}, repeats)
    return [Timing(name, seconds) for name, seconds in runs.items()]


def _python(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """This Python in a new process at the root of the project, silent and without a model hub."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether 127.0.0.1:`port` answers ``GET /`` with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
