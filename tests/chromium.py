"""Debian's Chromium, driven by Playwright and cut off from the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def running_chromium() -> Iterator[object]:
    """A headless Chromium that can reach this machine only; no browser is a failure in CI, and elsewhere a reason to skip."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright for Python is not installed: pip install playwright")
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} does not exist: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    only_here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*arguments, only_here])
        yield browser
        browser.close()


@contextmanager
def offline_visitor(chromium) -> Iterator[object]:
    """One who opens files without a network; errors and requests to anywhere are a failure at the end."""
    visitor = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    visitor.set_default_timeout(60_000)
    requests, errors = [], []
    visitor.on("request", lambda request: requests.append(request.url))
    visitor.on("weberror", lambda error: errors.append(str(error.error)))
    visitor.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    yield visitor
    visitor.close()
    assert not errors
    assert all(url.startswith(("file://", "data:", "blob:")) for url in requests)


def missing(reason: str) -> None:
    """Fail in CI, skip elsewhere: for what a test needs on its machine."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
