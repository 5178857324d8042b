"""The page as a visitor gets it, in Debian's Chromium cut off from the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from browsing import wait_until_read
from chromium import running_chromium
from serving import Server, serving


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
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with running_chromium() as browser:
        yield browser


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
