"""The page's two steps: the verdict waits for no explanation, and ends the one that nobody wants any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace

import gradio as gr
import pytest
from conftest import save_tiny

from app import ui
from app.asking import Question, pictures
from app.settings import Settings
from app.unwanted import go_on
from gpt2cls_core import load_classifier, predict

SECONDS = 60  # after which a test that hangs has failed
FIRST, SECOND = "good film, but", "bad film, but not for me"


class Held:
    """Explains as the page does, but of FIRST only when the test lets it."""

    def __init__(self) -> None:
        self.go, self.started, self.left = Event(), Event(), False

    def __call__(self, question: Question) -> Iterator[object]:
        if question.text == FIRST:
            self.started.set()
            try:
                while not self.go.wait(0.01):
                    go_on()
            finally:
                self.left = not self.go.is_set()
        yield from pictures(question)


class Visitor:
    """One who asks as the browser's script does."""

    def __init__(self, demo: object, name: str) -> None:
        self.request = SimpleNamespace(session_hash=name)
        steps = {step.api_name: step for step in demo.fns.values()}
        self.judge, self.page, inputs = steps["judge"].fn, steps["page"].fn, steps["page"].inputs
        self.values = [getattr(component, "value", None) for component in inputs[2:]]
        self.model = inputs[1].value

    async def verdict(self, text: str) -> dict:
        return {part.elem_id: value for part, value in (await self.judge(*self._asked(text))).items()}

    async def chapter(self, text: str) -> list[dict]:
        steps = [step async for step in self.page(*self._asked(text)) if step != gr.skip()]
        return [{part.elem_id: value for part, value in step.items()} for step in steps]

    def _asked(self, text: str) -> tuple:
        return self.request, text, self.model, *self.values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("tiny2"), 2, seed=1))


def run(folder: str, test: object, settings: Settings | None = None) -> None:
    async def built() -> None:
        await test(ui.build([folder], settings))

    asyncio.run(asyncio.wait_for(built(), SECONDS))


def spelled(step: dict) -> str:
    return "".join(item["text"] for item in step["predict-strip"]["items"])


def test_a_verdict_comes_while_an_explanation_is_computed_and_ends_it(folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ui, "pictures", held := Held())

    async def test(demo: object) -> None:
        me = Visitor(demo, "me")
        await me.verdict(FIRST)
        slow = asyncio.create_task(me.chapter(FIRST))
        await asyncio.to_thread(held.started.wait, SECONDS)
        shown = (await me.verdict(SECOND))["verdict"]
        assert shown["label"] == predict(load_classifier(folder), SECOND).label
        assert await slow == []  # nothing of the first text is shown any more
        assert [spelled(step) for step in await me.chapter(SECOND)] == [SECOND]

    run(folder, test)
    assert held.left


def test_anothers_question_ends_nobodys_explanation(folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ui, "pictures", held := Held())

    async def test(demo: object) -> None:
        me, you = Visitor(demo, "me"), Visitor(demo, "you")
        await me.verdict(FIRST)
        slow = asyncio.create_task(me.chapter(FIRST))
        await asyncio.to_thread(held.started.wait, SECONDS)
        await you.verdict(SECOND)
        assert [spelled(step) for step in await you.chapter(SECOND)] == [SECOND]  # two are computed at a time
        held.go.set()
        assert [spelled(step) for step in await slow] == [FIRST]

    run(folder, test)


def test_who_comes_when_the_line_is_full_keeps_text_and_verdict_and_is_told(folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ui, "pictures", held := Held())
    monkeypatch.setattr(ui, "AT_ONCE", 1)

    async def test(demo: object) -> None:
        visitors = [Visitor(demo, str(i)) for i in range(3)]
        first = asyncio.create_task(visitors[0].chapter(FIRST))
        await asyncio.to_thread(held.started.wait, SECONDS)
        second = asyncio.create_task(visitors[1].chapter(SECOND))
        await asyncio.sleep(0.1)
        (told,) = await visitors[2].chapter("not for me")
        assert told["verdict"]["notice"].startswith("Too many readers are asking at once")
        assert told["verdict"]["label"] == predict(load_classifier(folder), "not for me").label
        held.go.set()
        assert [spelled(step[-1]) for step in await asyncio.gather(first, second)] == [FIRST, SECOND]
        assert [spelled(step) for step in await visitors[2].chapter("not for me")] == ["not for me"]

    run(folder, test, Settings(queue=1))


def test_a_text_that_cannot_be_read_is_told_in_place_of_the_verdict(folder):
    async def test(demo: object) -> None:
        me = Visitor(demo, "me")
        assert "no text to read" in (await me.verdict(" "))["verdict"]["notice"]
        assert ["no text to read" in step["verdict"]["notice"] for step in await me.chapter(" ")] == [True]

    run(folder, test)
