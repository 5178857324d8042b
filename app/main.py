"""Start the page: ``python -m app``, or ``python app/main.py`` as a Space does."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file, only app/ is on the path

EMBEDDED = """<script>
if (new URLSearchParams(window.location.search).get("embed") === "1") document.documentElement.dataset.embed = "true";
</script>"""
RESIZER = Path(__file__).with_name("vendor") / "iframe-resizer" / "iframeResizer.min.js"
"""For pages in which a chapter is embedded: the frame gets as high as its content."""
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Else gradio makes a table of all requests after each, though the page that would show it is off.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**31))
GRADIO_THREADS = 40  # its own default


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, build the page, and serve it until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Why can GPT-2 classify a text from its last token? The page."
    )
    parser.add_argument(
        "--model", help="bundled name, folder, or hub id of a GPT-2 classifier (default: full, or $GPT2CLS_MODELS)"
    )
    parser.add_argument(
        "--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on"
    )
    parser.add_argument(
        "--port", type=int, default=None, help="port to listen on (default: the first free one from 7860)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    chosen = parser.parse_args(arguments)
    asked = [chosen.model] if chosen.model else os.environ.get("GPT2CLS_MODELS", "").split(",")
    if not any("/" in name and not Path(name.strip()).is_dir() for name in asked):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing to ask the hub for

    from gpt2cls_core import Gpt2clsError

    browser = not chosen.no_browser and "SPACE_ID" not in os.environ
    try:
        start(chosen.model, host=chosen.host, port=chosen.port, browser=browser, wait=True)
    except Gpt2clsError as error:
        sys.exit(str(error))


def start(
    model: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = False,
    wait: bool = False,
) -> tuple[gr.Blocks, str]:
    """Build the page and serve it, as `app.settings` says.

    Args:
        model: bundled name, folder, or hub id; None for those of the settings.
        wait: serve until interrupted; otherwise return at once.

    Returns:
        The page and its address.

    Raises:
        ModelError: the model can't be loaded.
        OptionError: a setting is wrong.
    """
    import torch
    from starlette.responses import FileResponse
    from starlette.routing import Route

    from app import models, theme, ui
    from app.chapters import CHAPTERS, stem
    from app.settings import read_settings

    settings, notice = read_settings(os.environ), ""
    if model is None and settings.models:
        offered, notice = models.fall_back(list(settings.models))
    else:
        offered = models.offered(model or models.BUNDLED)
    # Explanations are computed side by side, each by its share of the processors.
    torch.set_num_threads(max(1, torch.get_num_threads() // ui.AT_ONCE))
    # Models load while the server comes up, the default first; the first visitor's request waits for whichever is later.
    threading.Thread(target=models.load_all, args=(offered,), daemon=True).start()
    demo = ui.build(offered, settings, notice=notice)
    at_once = GRADIO_THREADS + settings.queue  # readers wait in `app.line`, which tells them so, not in gradio's queue
    server, address, _ = demo.queue(max_size=at_once).launch(
        server_name=host,
        server_port=port,
        inbrowser=browser,
        prevent_thread_lock=True,
        quiet=not wait,
        head=EMBEDDED,
        theme=theme.theme(),
        css=theme.css(map(stem, CHAPTERS)),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        show_error=True,
        max_threads=at_once,
    )
    server.router.routes.insert(0, Route("/embed.js", lambda _request: FileResponse(RESIZER)))
    if wait:
        demo.block_thread()
    return demo, address


if __name__ == "__main__":
    main()
