"""A reader of the page without a browser: plain HTTP to a running app, in the protocol of Gradio's queue.

``GET /config`` tells what the page is made of. A request is put into the queue by ``POST /queue/join`` with the values of all
inputs, and is answered as server-sent events: first the verdict, then the chapter as it comes, at last everything once more.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import Gpt2clsError

__all__ = ["Answer", "Page", "ask", "read_page"]

FUNCTION = "page"  # what Gradio calls the step that reads a text and explains it
PATIENCE = 300.0  # seconds without a word from the server


@dataclass(frozen=True)
class Page:
    """What one has to know to ask.

    Attributes:
        function: the step's number in the queue.
        names, values: ids of the inputs and what stands in them at first.
        outputs: ids of the outputs; a chapter's are its stem with an ending.
    """

    port: int
    prefix: str
    function: int
    names: tuple[str, ...]
    values: tuple[Any, ...]
    outputs: tuple[str, ...]

    @property
    def chapters(self) -> tuple[str, ...]:
        return tuple(name.removesuffix("-strip") for name in self.outputs if name.endswith("-strip"))


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        verdict_seconds, seconds: from asking to the first words and to the last.
        shown: the text that the chapter's strip spells; empty where it shows none.
        body: everything that was sent.
        problem: what the page or the queue said in place of an answer; else empty.
    """

    chapter: str
    verdict_seconds: float
    seconds: float
    shown: str = ""
    body: str = ""
    problem: str = ""


def read_page(port: int) -> Page:
    """Read what a page on 127.0.0.1 is made of.

    Raises:
        Gpt2clsError: it is no page of this project.
    """
    with _response(port, "GET", "/config") as response:
        config = json.loads(response.read())
    props = {component["id"]: component["props"] for component in config["components"]}
    step = next((step for step in config["dependencies"] if step["api_name"] == FUNCTION), None)
    names = [props[i].get("elem_id") or "" for i in step["inputs"]] if step else []
    if not {"text", "chapters"} <= set(names):
        raise Gpt2clsError(f"What answers on port {port} is not this project's page.")
    return Page(
        port,
        config["api_prefix"],
        step["id"],
        tuple(names),
        tuple(props[i].get("value") for i in step["inputs"]),
        tuple(props[i].get("elem_id") or "" for i in step["outputs"]),
    )


def ask(page: Page, session: str, text: str, chapter: str) -> Answer:
    """Have a text read and a chapter explained.

    Args:
        session: what tells one reader from another.
    """
    changed = {"text": text, "chapters": chapter}
    data = [changed.get(name, value) for name, value in zip(page.names, page.values, strict=True)]
    joined = {"data": data, "fn_index": page.function, "session_hash": session, "event_data": None, "trigger_id": None}
    start = time.perf_counter()
    with _response(page.port, "POST", f"{page.prefix}/queue/join", joined) as response:
        said = response.read().decode()
        if response.status != 200:
            return Answer(chapter, *(2 * [time.perf_counter() - start]), problem=_reason(said))
    verdict, bodies = None, []
    for body, message in _messages(page, session):
        bodies.append(body)
        if message["msg"] == "process_generating" and verdict is None:
            verdict = time.perf_counter() - start
        if message["msg"] == "process_completed":
            seconds = time.perf_counter() - start
            output = message["output"]
            problem = "" if message["success"] else str(output.get("error") or "an error without a word")
            shown = "" if problem else _spelled(output["data"][page.outputs.index(f"{chapter}-strip")])
            return Answer(chapter, verdict or seconds, seconds, shown, "".join(bodies), problem)
    return Answer(chapter, *(2 * [time.perf_counter() - start]), problem="the stream ended without an answer")


@contextmanager
def _response(port: int, method: str, path: str, content: object = None) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        yield connection.getresponse()
    finally:
        connection.close()


def _messages(page: Page, session: str) -> Iterator[tuple[str, dict]]:
    """Each event of a session's stream, as it was sent and as it is read."""
    with _response(page.port, "GET", f"{page.prefix}/queue/data?session_hash={session}") as response:
        for line in response:
            if line.startswith(b"data:"):
                body = line[5:].decode()
                yield body, json.loads(body)


def _spelled(value: object) -> str:
    """The texts of a strip's places in a row."""
    items = value.get("items", []) if isinstance(value, dict) else []
    return "".join(item["text"] for item in items)


def _reason(said: str) -> str:
    """Why the queue refused, in its own words."""
    try:
        return str(json.loads(said)["detail"])
    except (ValueError, KeyError, TypeError):
        return said.strip() or "refused without a word"
