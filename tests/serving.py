"""The page as a visitor gets it: `python app/main.py` in a process of its own.

The server's environment says nothing of offline or analytics, so that what keeps it from calling out is the page itself. An audit
hook in it notes every host that Python looks up or connects to.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180  # on a busy machine; 10 to 20 are usual
AUDIT = """
import sys
note = open({notes!r}, "a", buffering=1)
def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        print(arguments[0], file=note)
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        print(arguments[1][0], file=note)
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Server:
    """The running page."""

    url: str
    folder: Path

    def hosts(self) -> set[str]:
        """Hosts that the process looked up or connected to."""
        return set((self.folder / "hosts").read_text().split())

    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    """The page in a process of its own.

    Args:
        folder: for its log; exists.
        arguments: of the command line.
        settings: environment variables.
    """
    (folder / "sitecustomize.py").write_text(AUDIT.format(notes=str(folder / "hosts")))
    unset = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1", **settings}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "app/main.py", "--no-browser", "--port", str(port), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    served = Server(f"http://127.0.0.1:{port}/", folder)
    try:
        _wait_for(served, process)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server: Server, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"The page stopped with code {process.returncode}:\n{server.log()}"
        try:
            with urlopen(server.url, timeout=30):
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"The page did not answer within {START_SECONDS} s:\n{server.log()}")
