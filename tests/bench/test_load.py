"""Simulated students at a page: what they ask, and what is told of the answers. No test asserts a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlparse

import pytest

from gpt2cls_core import Gpt2clsError
from gpt2cls_core.bench import __main__ as command
from gpt2cls_core.bench.client import Answer, ask, read_page
from gpt2cls_core.bench.load import Crowd, load_table, percentile, simulate, under_load

CONFIG = {
    "api_prefix": "/api",
    "components": [
        {"id": 1, "props": {"elem_id": "text", "value": "first text"}},
        {"id": 2, "props": {"elem_id": "chapters", "value": "lens"}},
        {"id": 3, "props": {"value": 7}},
        {"id": 4, "props": {"elem_id": "verdict"}},
        {"id": 5, "props": {"elem_id": "lens-strip"}},
        {"id": 6, "props": {"elem_id": "traps-strip"}},
    ],
    "dependencies": [
        {"id": 3, "api_name": "load", "inputs": [], "outputs": []},
        {"id": 8, "api_name": "judge", "inputs": [1, 2, 3], "outputs": [4]},
        {"id": 9, "api_name": "page", "inputs": [1, 2, 3], "outputs": [4, 5, 6]},
    ],
}
Reply = Callable[[str, str], list[dict]]


def completed(*data: object) -> dict:
    return {"msg": "process_completed", "success": True, "output": {"data": [*data]}}


def explained(text: str, chapter: str) -> list[dict]:
    """What the page sends of a text after its verdict: the strip, in two tokens."""
    strip = {"items": [{"text": text[:3]}, {"text": text[3:]}]}
    strips = [strip, None] if chapter == "lens" else [None, strip]
    return [{"msg": "estimation"}, {"msg": "process_generating"}, completed("verdict", *strips)]


class FakePage:
    """A server that speaks the queue's protocol."""

    def __init__(
        self, reply: Reply = explained, *, refusal: str = "", unjudged: str = "", config: dict = CONFIG
    ) -> None:
        self.judged: list[dict] = []
        self.joined: list[dict] = []
        page = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/api/run/judge":
                    page.judged.append(content)
                    self.send(500 if unjudged else 200, (unjudged or '{"data": ["verdict"]}').encode())
                    return
                assert self.path == "/api/queue/join"
                page.joined.append(content)
                self.send(503 if refusal else 200, (refusal or "{}").encode())

            def do_GET(self) -> None:
                url = urlparse(self.path)
                if url.path == "/config":
                    self.send(200, json.dumps(config).encode())
                    return
                assert url.path == "/api/queue/data"
                session = parse_qs(url.query)["session_hash"][0]
                asked = next(c for c in reversed(page.joined) if c["session_hash"] == session)
                events = reply(*asked["data"][:2])
                self.send(200, b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def serve() -> Iterator[Callable[..., FakePage]]:
    pages: list[FakePage] = []

    def start(*arguments: object, **named: object) -> FakePage:
        page = FakePage(*arguments, **named)
        pages.append(page)
        Thread(target=page.server.serve_forever, args=(0.01,), daemon=True).start()
        return page

    yield start
    for page in pages:
        page.server.shutdown()
        page.server.server_close()


# --- one reader ---


def test_a_page_is_read_from_its_configuration(serve):
    page = read_page(serve().port)
    assert (page.judge, page.function, page.prefix) == (8, 9, "/api")
    assert page.names == ("text", "chapters", "")
    assert page.values == ("first text", "lens", 7)
    assert page.chapters == ("lens", "traps")


def test_a_foreign_page_is_refused(serve):
    with pytest.raises(Gpt2clsError, match="is not this project's page"):
        read_page(serve(config={**CONFIG, "dependencies": []}).port)


def test_asking_sends_every_input_and_returns_what_was_shown(serve):
    fake = serve()
    answer = ask(read_page(fake.port), "me", "good film", "traps")
    sent = fake.joined[0]
    assert (sent["data"], sent["fn_index"], sent["session_hash"]) == (["good film", "traps", 7], 9, "me")
    assert fake.judged == [{**sent, "fn_index": 8}]
    assert (answer.chapter, answer.shown, answer.problem) == ("traps", "good film", "")
    assert 0 < answer.verdict_seconds <= answer.seconds
    assert '"verdict"' in answer.body
    assert '"process_generating"' in answer.body


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (
            lambda *_: [{"msg": "process_completed", "success": False, "output": {"error": "it broke"}}],
            "it broke",
        ),
        (
            lambda *_: [{"msg": "process_completed", "success": False, "output": {"error": None}}],
            "an error without a word",
        ),
        (lambda *_: [{"msg": "process_starts"}], "the stream ended without an answer"),
    ],
)
def test_an_error_is_kept_in_its_own_words(serve, reply: Reply, problem: str):
    answer = ask(read_page(serve(reply).port), "me", "good film", "lens")
    assert (answer.problem, answer.shown) == (problem, "")


@pytest.mark.parametrize(
    ("said", "problem"),
    [('{"detail": "Queue is full!"}', "Queue is full!"), ("try later", "try later"), (" ", "refused without a word")],
)
def test_a_full_queue_is_told_in_its_own_words(serve, said: str, problem: str):
    answer = ask(read_page(serve(refusal=said).port), "me", "good film", "lens")
    assert answer.problem == problem


def test_a_verdict_that_fails_is_told_and_no_explanation_is_asked_for(serve):
    fake = serve(unjudged='{"error": "it broke"}')
    answer = ask(read_page(fake.port), "me", "good film", "lens")
    assert (answer.problem, fake.joined) == ("it broke", [])


# --- a crowd ---


def test_students_make_as_many_requests_as_asked_with_texts_of_their_own(serve):
    fake = serve()
    sizes = iter(range(1, 100))
    crowd = simulate(read_page(fake.port), 3, 20, pause=0, memory=lambda: next(sizes))
    assert (crowd.n_students, len(crowd.answers), len(fake.joined)) == (3, 20, 20)
    assert (crowd.strangers, crowd.recognised) == (0, 20)
    assert sorted(crowd.memory) == list(range(1, 21))
    for content in fake.joined:
        assert content["session_hash"] in content["data"][0]
    assert len({content["data"][0] for content in fake.joined}) > 6, "they type"
    assert {content["data"][1] for content in fake.joined} == {"lens", "traps"}, "they switch"
    asked = [tuple(content["data"]) for content in fake.joined]
    assert crowd.again == len(asked) - len(set(asked))


def test_a_class_that_tries_the_examples_asks_the_same_again(serve):
    fake = serve()
    crowd = simulate(read_page(fake.port), 3, 200, pause=0, examples=1.0)
    assert (crowd.strangers, crowd.recognised) == (0, 0)
    assert not any(re.search(r"qz\d", content["data"][0]) for content in fake.joined)
    assert crowd.again >= 200 - 2 * 36  # two chapters, 36 sentences
    assert 0 < simulate(read_page(fake.port), 3, 60, pause=0, examples=0.5).recognised < 60


def test_anothers_text_is_found_in_pieces_and_whole(serve):
    last = ["qz0000x"]

    def confused(text: str, chapter: str) -> list[dict]:
        """The answer to the request before this one."""
        before, last[0] = last[0], re.search(r"qz\d+x", text)[0]
        return explained(before, chapter)

    crowd = simulate(read_page(serve(confused).port), 4, 40, pause=0)
    mine = sum(a.problem == "" for a in crowd.answers) - crowd.strangers
    assert crowd.strangers > 0
    assert crowd.recognised == mine


def test_a_crowd_that_is_refused_is_counted(serve):
    crowd = simulate(read_page(serve(refusal='{"detail": "Queue is full!"}').port), 2, 5, pause=0)
    assert [answer.problem for answer in crowd.answers] == ["Queue is full!"] * 5
    assert "5 × Queue is full!" in load_table(crowd)
    assert "2 students, 5 requests, 0 answered" in load_table(crowd)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 3), (0.95, 5), (0.0, 1), (1.0, 5), (0.2, 1), (0.21, 2)])
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(share: float, expected: int):
    assert percentile([5, 1, 4, 2, 3], share) == expected


def test_the_table_of_numbers_worked_out_by_hand():
    answers = (
        Answer("lens", 0.1, 0.5),
        Answer("traps", 0.3, 2.5),
        Answer("lens", 0.2, 0.7),
        Answer("lens", 9, 9, problem="no"),
    )
    memory = (100_000_000, 110_000_000, 120_000_000, 120_000_000, 121_000_000)
    told, thought, *lines = load_table(Crowd(2, answers, 1, 2, memory, 3, 2.5, 1.0)).splitlines()
    assert told == "2 students, 4 requests, 3 answered"
    assert thought == "2.5 s of thought on average between two of a student; 3 asked again what somebody had"
    assert lines[0].split() == ["median", "95", "%", "longest"]
    assert [line.split() for line in lines[1:5]] == [
        ["verdict", "0.20", "s", "0.30", "s", "0.30", "s"],
        ["explanation,", "whole", "0.70", "s", "2.50", "s", "2.50", "s"],
        ["lens", "0.60", "s", "0.70", "s", "0.70", "s"],
        ["traps", "2.50", "s", "2.50", "s", "2.50", "s"],
    ]
    assert lines[5:7] == ["problems: 1", "  1 × no"]
    assert lines[7] == "another's text shown: 1 of 3; one's own recognised in 2 strips"
    assert lines[8].endswith("MB: 100, 110, 120, 120, 121")
    assert lines[9] == "processor time of the app: 0.25 s for each request"


# --- the real page ---


def test_the_real_page_is_driven(tiny_folder: Path):
    crowd = under_load(2, 6, model=str(tiny_folder), pause=0)
    assert [answer.problem for answer in crowd.answers] == [""] * 6
    assert crowd.strangers == 0
    assert len(crowd.memory) in (0, 6)
    assert crowd.processor is None or crowd.processor > 0


def test_the_command_prints_the_crowd(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    calls: list[tuple] = []

    def crowd(n_students: int, n_requests: int, **options: object) -> Crowd:
        calls.append((n_students, n_requests, options))
        return Crowd(n_students, (), 0, 0, ())

    monkeypatch.setattr(command, "under_load", crowd)
    command.main(["--model", str(tiny_folder), "--load", "3"])
    command.main(["--model", str(tiny_folder), "--load", "3", "--requests", "7", "--pause", "0.5", "--examples", "0.5"])
    assert calls == [
        (3, 30, {"model": str(tiny_folder), "pause": 5.0, "examples": 0.0}),
        (3, 7, {"model": str(tiny_folder), "pause": 0.5, "examples": 0.5}),
    ]
    assert "3 students, 0 requests, 0 answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--load", "0"], ["--load", "2", "--requests", "-1"], ["--pause", "nan"], ["--examples", "2"]]
)
def test_numbers_that_are_none_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert (
        "--load and --requests must be 1 or more, --pause a number of seconds, --examples a share"
        in capsys.readouterr().err
    )
