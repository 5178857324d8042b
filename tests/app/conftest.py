"""The page as a visitor gets it: `python app/main.py` in a process of its own, and Debian's Chromium cut off from the network.

The server's environment says nothing of offline or analytics, so that what keeps it from calling out is the page itself. An audit
hook in it notes every host that Python looks up or connects to.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from browsing import wait_until_read

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
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


@dataclass
class Witness:
    """What the browser did besides showing the page."""

    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self, context) -> None:
        context.on(
            "request", lambda request: self.hosts.add(urlsplit(request.url).hostname or "")
        )  # data: and blob: have none
        context.on(
            "page", lambda page: page.on("websocket", lambda ws: self.hosts.add(urlsplit(ws.url).hostname or ""))
        )
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        context.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page on a free port of this machine."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "sitecustomize.py").write_text(AUDIT.format(notes=str(folder / "hosts")))
    unset = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "app/main.py", "--no-browser", "--port", str(port)],
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A headless Chromium that can reach this machine only; no browser is a failure in CI, and elsewhere a reason to skip."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _no_browser("Playwright for Python is not installed: pip install playwright")
    if not CHROMIUM.exists():
        _no_browser(f"{CHROMIUM} does not exist: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    only_here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*arguments, only_here])
        yield browser
        browser.close()


def _no_browser(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def witness() -> Witness:
    return Witness()


@pytest.fixture(scope="module")
def context(chromium, server: Server, witness: Witness) -> Iterator[object]:
    """One visitor, watched."""
    visitor = chromium.new_context(viewport={"width": 1280, "height": 900})
    visitor.set_default_timeout(60_000)
    visitor.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    witness.watch(visitor)
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def open_page(context, server: Server) -> Callable[[str], object]:
    """Opens the page with a query, and waits until the first words on the text are there."""

    def opened(query: str = "") -> object:
        page = context.new_page()
        page.goto(server.url + query)
        wait_until_read(page)
        return page

    return opened


@pytest.fixture(scope="module")
def page(open_page) -> Iterator[object]:
    """The one page that most tests share."""
    shared = open_page()
    yield shared
    shared.close()
