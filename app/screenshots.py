"""Take the README's pictures: ``python -m app.screenshots`` (needs Chromium and the test extra).

Starts the page on a free port, opens it in headless Chromium, and writes one PNG per chapter, wide, narrow and dark, to
``assets/pictures`` or to the folder given with ``-o``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from urllib.parse import urlencode

from .chapters import CHAPTERS, stem
from .main import start
from .settings import FIRST_TEXT

SIZES = {"wide": (1280, "light"), "dark": (1280, "dark"), "narrow": (390, "light")}
README_PICTURES = {
    "interventions-wide": {"view": "patch"},
}
"""Pictures by chapter and size, each with the chapter's options."""


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write the pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m app.screenshots", description="Take pictures of every chapter.")
    parser.add_argument("-o", "--output", type=Path, default=Path("assets/pictures"), help="folder to write to")
    parser.add_argument(
        "--all", action="store_true", help="every chapter in every size, not the README's pictures alone"
    )
    parser.add_argument("--text", default=FIRST_TEXT, help="the text to show")
    chosen = parser.parse_args(arguments)
    chosen.output.mkdir(parents=True, exist_ok=True)
    demo, url = start("full")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        for name in map(stem, CHAPTERS):
            for size, (width, theme) in SIZES.items():
                if not chosen.all and f"{name}-{size}" not in README_PICTURES:
                    continue
                page = browser.new_page(viewport={"width": width, "height": 760})
                options = README_PICTURES.get(f"{name}-{size}", {})
                page.goto(f"{url}?{urlencode({'chapter': name, 'text': chosen.text, '__theme': theme, **options})}")
                page.wait_for_selector(f"#{name}-takeaway strong", state="attached", timeout=60_000)
                page.click(f"#{name}-quiz .show")  # uncovers the takeaway
                page.wait_for_timeout(1500)  # the second part of a slow takeaway
                page.screenshot(path=chosen.output / f"{name}-{size}.png", full_page=True)
                page.close()
        browser.close()
    demo.close()


if __name__ == "__main__":
    main()
