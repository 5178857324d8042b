"""The page is waited for, and ended, whatever it does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gpt2cls_core import Gpt2clsError
from gpt2cls_core.bench import page
from gpt2cls_core.bench.page import answering, answers, free_port, page_timings, seconds_to_http_200


def server_of(folder: Path, port: int) -> tuple[str, ...]:
    return ("-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder))


def test_page_is_measured_until_it_answers(tmp_path: Path):
    (tmp_path / "index.html").write_text("hello")
    port = free_port()
    assert 0 < seconds_to_http_200(server_of(tmp_path, port), port, timeout=60) < math.inf
    assert not answers(port)  # the server was ended


def test_the_process_is_ended_after_an_exception_too(tmp_path: Path):
    port = free_port()
    with pytest.raises(ZeroDivisionError), answering(server_of(tmp_path, port), port, timeout=60) as process:
        assert answers(port)
        raise ZeroDivisionError
    assert process.poll() is not None


def test_a_page_that_ends_or_never_answers_is_reported():
    port = free_port()
    with pytest.raises(Gpt2clsError, match="ended with status 3 before it answered"):
        seconds_to_http_200(("-c", "raise SystemExit(3)"), port)
    with pytest.raises(Gpt2clsError, match="did not answer within 0 s"):
        seconds_to_http_200(("-c", "import time; time.sleep(60)"), port, timeout=0.1)


def test_page_timings_start_the_app_and_the_imports(monkeypatch: pytest.MonkeyPatch):
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(page, "seconds_to_http_200", lambda arguments, port: started.append((*arguments, str(port))))
    monkeypatch.setattr(page, "IMPORTS", ("-c", "pass"))
    whole, imports = page_timings(repeats=1)
    assert (len(whole.seconds), len(imports.seconds)) == (1, 1)
    assert all(call[:4] == ("-m", "app", "--no-browser", "--port") and call[4] == call[5] for call in started)
    monkeypatch.setattr(page, "IMPORTS", ("-c", "raise SystemExit(1)"))
    with pytest.raises(Gpt2clsError, match="can't be imported"):
        page_timings(repeats=1)
