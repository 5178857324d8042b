"""A reader of the page without a browser: plain HTTP to a running app, in the protocol of Gradio's queue.

``GET /config`` tells what the page is made of. As the page's own script does, a reader asks for the verdict first, by ``POST
/run/judge`` with the values of all inputs, and then for the chapter: ``POST /queue/join`` puts that into the queue, and server-sent
events answer it, the chapter as it comes and at last everything once more.
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

JUDGE, PAGE = "judge", "page"  # what Gradio calls the steps that read a text and that explain it
PATIENCE = 300.0  # seconds without a word from the server


@dataclass(frozen=True)
class Page:
    """What one has to know to ask.

    Attributes:
        judge, function: numbers of the two steps.
        names, values: ids of the inputs of both and what stands in them at first.
        outputs: ids of the second's outputs; a chapter's are its stem with an ending.
    """

    port: int
    prefix: str
    judge: int
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
        verdict_seconds, seconds: from asking to the verdict and to the last word of the explanation.
        shown: the text that the chapter's strip spells; empty where it shows none.
        body: everything that was sent back.
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
    steps = {step["api_name"]: step for step in config["dependencies"]}
    step = steps.get(PAGE, {"inputs": []})
    names = [props[i].get("elem_id") or "" for i in step["inputs"]]
    if JUDGE not in steps or not {"text", "chapters"} <= set(names):
        raise Gpt2clsError(f"What answers on port {port} is not this project's page.")
    return Page(
        port,
        config["api_prefix"],
        steps[JUDGE]["id"],
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
    asked = {"data": data, "session_hash": session, "event_data": None, "trigger_id": None}
    start = time.perf_counter()
    status, judged = _post(page, f"/run/{JUDGE}", {**asked, "fn_index": page.judge})
    verdict = time.perf_counter() - start
    if status != 200:
        return Answer(chapter, verdict, verdict, problem=_reason(judged))
    status, said = _post(page, "/queue/join", {**asked, "fn_index": page.function})
    if status != 200:
        return Answer(chapter, verdict, time.perf_counter() - start, body=judged, problem=_reason(said))
    bodies = [judged]
    for body, message in _messages(page, session):
        bodies.append(body)
        if message["msg"] == "process_completed":
            seconds, output = time.perf_counter() - start, message["output"]
            problem = "" if message["success"] else str(output.get("error") or "an error without a word")
            shown = "" if problem else _spelled(output["data"][page.outputs.index(f"{chapter}-strip")])
            return Answer(chapter, verdict, seconds, shown, "".join(bodies), problem)
    return Answer(chapter, verdict, time.perf_counter() - start, problem="the stream ended without an answer")


def _post(page: Page, path: str, content: object) -> tuple[int, str]:
    with _response(page.port, "POST", page.prefix + path, content) as response:
        return response.status, response.read().decode()


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
        told = json.loads(said)
        return str(told.get("detail") or told["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return said.strip() or "refused without a word"
