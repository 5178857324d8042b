"""How long each method takes, side by side, on the machine that you sit at: ``python -m gpt2cls_core.bench``.

A time alone says as much about the machine as about the method. So everything is measured on one text, in turns (each
method once per round, so that whatever else the machine does falls on all of them alike), and shown as a median beside
its ratio to a yardstick that anybody can run: plain Captum `LayerIntegratedGradients` with its default 50 steps, on the
same model and text. With ``--page`` the same is done for the page: time to the first HTTP 200 beside the time of
importing gradio, torch and transformers. With ``--patching-124m`` the patching grid is timed on random weights in the shape
of GPT-2 (124M parameters), beside one forward pass of the same.

A patching grid is timed at its slowest: the other text has the same tokens in reverse order, so that every cell differs and
none can be left out, as those before a swapped word can.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from .ablation import ablate_each_head
from .attribution import BASELINES, integrated_gradients
from .classifier import Classifier, Encoding, load_classifier
from .errors import Gpt2clsError
from .interventions import cut_each
from .patching import patch_grid, patch_grid_rows
from .rollout import attention_rollout, gradient_weighted_rollout
from .trace import Trace, trace

__all__ = [
    "Timing",
    "in_turns",
    "machine",
    "main",
    "model_timings",
    "page_timings",
    "patching_timings",
    "plain_captum",
    "random_124m",
    "seconds_to_http_200",
    "table",
]

TEXT = (
    "The first half hour is slow and a little silly, but then the two sisters finally meet, and from that scene on "
    "I could not look away."
)
FEWEST_REPEATS = 5
CAPTUM_STEPS = 50  # Captum's default
PATCHED_TOKENS = 20  # of the text, on the large model
PAGE_TIMEOUT = 120.0  # seconds
ROOT = Path(__file__).resolve().parents[1]
IMPORTS = ("-c", "import gradio, torch, transformers")
APP = ("-m", "app", "--no-browser")


@dataclass(frozen=True)
class Timing:
    """How long one thing took.

    Attributes:
        seconds: wall-clock seconds of each run, in order.
        note: what else is to be known of it, such as steps and delta; may be empty.
    """

    name: str
    seconds: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the runs, in seconds."""
        return median(self.seconds)


def in_turns(actions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, ...]]:
    """Run each action once unmeasured, then all of them in turn `repeats` times; seconds of each run by name."""
    for action in actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return {name: tuple(runs) for name, runs in seconds.items()}


def plain_captum(clf: Classifier, encoding: Encoding, *, n_steps: int = CAPTUM_STEPS) -> Tensor:
    """The yardstick: Captum's `LayerIntegratedGradients` used as its tutorials do, baseline ``<|endoftext|>``.

    The forward function is our own and reads the last position by its index.

    Returns:
        Scores [pos], in logits of margin.
    """
    from captum.attr import LayerIntegratedGradients

    ids = encoding.input_ids[None].to(clf.model.device)
    last = len(encoding) - 1

    def logits(input_ids: Tensor) -> Tensor:
        mask = torch.ones_like(input_ids)  # says that <|endoftext|>, the baseline, is no padding
        hidden = clf.body(input_ids=input_ids, attention_mask=mask, use_cache=False).last_hidden_state
        return clf.model.score(hidden[:, last])

    with torch.no_grad():
        target, other = clf.target(None, logits(ids)[0].cpu())
    method = LayerIntegratedGradients(
        lambda input_ids: logits(input_ids) @ _difference(clf, target, other), clf.body.wte
    )
    baseline = torch.full_like(ids, clf.tokenizer.eos_token_id)
    return method.attribute(ids, baselines=baseline, n_steps=n_steps)[0].sum(-1).float().cpu().detach()


def _difference(clf: Classifier, target: int, other: int) -> Tensor:
    """A vector [class] whose dot product with logits is their margin."""
    weights = torch.zeros(len(clf.labels), device=clf.model.device)
    weights[target], weights[other] = 1, -1
    return weights


def model_timings(clf: Classifier, text: str = TEXT, *, repeats: int = 7) -> list[Timing]:
    """Time each method on one text; the last of the list is the yardstick.

    Raises:
        TextError: the text can't be read.
    """
    encoding = clf.encode(text)
    traced = trace(clf, encoding)
    actions: dict[str, Callable[[], object]] = {
        "encode + verdict": lambda: trace(clf, text).label,
        "trace + rollout": lambda: attention_rollout(trace(clf, text)),
        "gradient-weighted rollout of a trace": lambda: gradient_weighted_rollout(clf, traced),
        "each token cut, every route": lambda: cut_each(clf, traced),
        "each token cut, direct edges": lambda: cut_each(clf, traced, route="direct"),
        "each head set to zero": lambda: ablate_each_head(clf, traced),
        "patching grid of two traces": partial(patch_grid, clf, traced, _reversed(clf, traced)),
    }
    notes: dict[str, str] = {}
    changes: dict[str, float] = {}
    for baseline in BASELINES:
        name = f"integrated gradients, auto, {baseline}"
        actions[name] = partial(integrated_gradients, clf, text, baseline=baseline)
        found = integrated_gradients(clf, encoding, baseline=baseline)
        changes[baseline] = found.margin_input - found.margin_baseline
        notes[name] = _quality(found.n_steps, found.convergence_delta, changes[baseline])
    yardstick = f"Captum LayerIntegratedGradients, {CAPTUM_STEPS} steps, eos"
    actions[yardstick] = lambda: plain_captum(clf, clf.encode(text))
    delta = float(plain_captum(clf, encoding).double().sum()) - changes["eos"]
    notes[yardstick] = _quality(CAPTUM_STEPS, delta, changes["eos"])
    return [Timing(name, runs, notes.get(name, "")) for name, runs in in_turns(actions, repeats).items()]


def _quality(n_steps: int, delta: float, change: float) -> str:
    """Steps, and the convergence delta as a share of the change in margin."""
    share = f"{100 * abs(delta / change):.2f} %" if change else "undefined: no change in margin"
    return f"{n_steps} steps, delta {share}"


def _reversed(clf: Classifier, traced: Trace) -> Trace:
    """The trace of the same tokens in reverse order, shown as they were."""
    return trace(clf, replace(traced.encoding, input_ids=traced.input_ids.flip(0)))


def patching_timings(clf: Classifier, text: str = TEXT, *, repeats: int = 7) -> list[Timing]:
    """Time the patching grid on the first 20 tokens: its two top rows, all of it, and a trace, the yardstick (last).

    Raises:
        TextError: the text can't be read.
    """
    whole = clf.encode(text)
    some = slice(PATCHED_TOKENS)
    words = tuple(word for word in whole.words if word.stop <= PATCHED_TOKENS)
    encoding = replace(
        whole, input_ids=whole.input_ids[some], tokens=whole.tokens[some], offsets=whole.offsets[some], words=words
    )
    clean = trace(clf, encoding)
    corrupted = _reversed(clf, clean)

    def top_rows() -> None:
        rows = patch_grid_rows(clf, clean, corrupted)
        next(rows)
        next(rows)

    actions: dict[str, Callable[[], object]] = {
        "patching grid, two top rows": top_rows,
        "patching grid, all rows": lambda: patch_grid(clf, clean, corrupted),
        "trace": lambda: trace(clf, encoding),
    }
    return [Timing(name, seconds) for name, seconds in in_turns(actions, repeats).items()]


def random_124m(clf: Classifier) -> Classifier:
    """A classifier in the shape of GPT-2 (124M parameters) with random weights, and the tokenizer of another."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    labels = dict(enumerate(clf.labels))
    config = GPT2Config(num_labels=len(labels), id2label=labels, attn_implementation="eager")
    model = GPT2ForSequenceClassification(config).eval().requires_grad_(False)
    return Classifier("random weights", model, clf.tokenizer, clf.labels)


def seconds_to_http_200(arguments: Sequence[str], port: int, *, timeout: float = PAGE_TIMEOUT) -> float:
    """Start ``python *arguments``, wait until 127.0.0.1:`port` answers ``GET /`` with 200, and end the process.

    Args:
        timeout: seconds to wait.

    Returns:
        Seconds from the start of the process.

    Raises:
        Gpt2clsError: the process ended by itself, or nothing answered in time.
    """
    command = " ".join(("python", *arguments))
    start = time.perf_counter()
    process = _python(arguments)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise Gpt2clsError(
                    f"{command} ended with status {process.returncode} before it answered; run it to see why."
                )
            if time.perf_counter() - start > timeout:
                raise Gpt2clsError(f"{command} did not answer within {timeout:.0f} s.")
            time.sleep(0.01)
        return time.perf_counter() - start
    finally:
        _end(process)


def page_timings(repeats: int = 7) -> list[Timing]:
    """Time ``python -m app`` to its first HTTP 200, and the heavy imports alone, which are the yardstick (last).

    Raises:
        Gpt2clsError: one of the two fails.
    """

    def page() -> None:
        port = _free_port()
        seconds_to_http_200((*APP, "--port", str(port)), port)

    def imports() -> None:
        if _python(IMPORTS).wait() != 0:
            raise Gpt2clsError("gradio, torch and transformers can't be imported; install the project first.")

    runs = in_turns({"python -m app, to HTTP 200": page, "import gradio, torch, transformers": imports}, repeats)
    return [Timing(name, seconds) for name, seconds in runs.items()]


def _python(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """This Python in a new process at the root of the project, silent and without a model hub."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def table(timings: Sequence[Timing]) -> str:
    """Medians in milliseconds as lines of plain text, each with its ratio to the last one."""
    yardstick = timings[-1]
    width = max(len(timing.name) for timing in timings)
    lines = [f"{'':{width}}  {'median':>10}  {'fastest':>10}  {'ratio':>6}"]
    for timing in timings:
        numbers = f"{1000 * timing.median:7.1f} ms  {1000 * min(timing.seconds):7.1f} ms"
        ratio = f"{timing.median / yardstick.median:6.2f}"
        lines.append(f"{timing.name:{width}}  {numbers}  {ratio}  {timing.note}".rstrip())
    return "\n".join(lines)


def machine() -> str:
    """The processor, its cores, and the versions that matter, on two lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "captum", "gradio"))
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {platform.system()}\n"
        f"Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m gpt2cls_core.bench", description="Time every method on this machine."
    )
    parser.add_argument("--model", default="full", help="bundled name, folder or hub id (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=7, help="measured runs of each, 5 or more (default: %(default)s)"
    )
    parser.add_argument("--page", action="store_true", help="also time the start of the page (2 to 3 minutes)")
    parser.add_argument(
        "--patching-124m", action="store_true", help="also time patching on a model of GPT-2's size (about 1 minute)"
    )
    options = parser.parse_args(arguments)
    if options.repeats < FEWEST_REPEATS:
        parser.error(f"--repeats must be {FEWEST_REPEATS} or more; a median of fewer says little")
    try:
        clf = load_classifier(options.model)
        print(machine())
        print(f"{clf!r}, {clf.n_parameters:,} parameters")
        print(f"{len(clf.encode(TEXT))} tokens, medians of {options.repeats} runs\n")
        print(table(model_timings(clf, repeats=options.repeats)), flush=True)
        if options.patching_124m:
            large = random_124m(clf)
            print(f"\n{large!r}, {large.n_parameters:,} parameters, at most {PATCHED_TOKENS} tokens\n")
            print(table(patching_timings(large, repeats=options.repeats)), flush=True)
        if options.page:
            print(f"\n{table(page_timings(options.repeats))}")
    except Gpt2clsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
