"""The command: ``python -m gpt2cls_core.bench``; ``--help`` lists what can be measured."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from ..classifier import Classifier, load_classifier
from ..errors import Gpt2clsError
from .growth import GROWTH_LENGTHS, growth, growth_table
from .load import PAUSE, load_table, under_load
from .methods import PATCHED_TOKENS, model_timings, patching_timings, random_124m
from .page import page_timings
from .rivals import has_interpret
from .side_by_side import LENGTHS, memory_by_steps, side_by_side, side_by_side_table
from .timing import FEWEST_REPEATS, TEXT, machine, table

SHAPE = "random weights in the shape of GPT-2 (124M): 50,257 rows of embeddings, texts in the tokens of the other model"
MEMORY_TOKENS = 60
REQUESTS_EACH = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.repeats < FEWEST_REPEATS:
        parser.error(f"--repeats must be {FEWEST_REPEATS} or more; a median of fewer says little")
    counts = [1 if n is None else n for n in (options.load, options.requests)]
    if min(counts) < 1 or not 0 <= options.pause < math.inf or not 0 <= options.examples <= 1:
        parser.error("--load and --requests must be 1 or more, --pause a number of seconds, --examples a share")
    try:
        clf = load_classifier(options.model)
        print(machine())
        print(f"{clf!r}, {clf.n_parameters:,} parameters", flush=True)
        if options.attributions:
            _print_side_by_side(clf, options.repeats)
        if options.growth:
            large = random_124m(clf)
            print(f"\n{SHAPE}; one run each\n\n{growth_table(list(growth(large, GROWTH_LENGTHS)))}", flush=True)
        if options.load:
            requests = options.requests or REQUESTS_EACH * options.load
            asked = {"pause": options.pause, "examples": options.examples}
            crowd = under_load(options.load, requests, model=options.model, **asked)
            print(f"\n{load_table(crowd)}", flush=True)
        if not (options.attributions or options.growth or options.load):
            _print_methods(clf, options)
    except Gpt2clsError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
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
    parser.add_argument(
        "--attributions",
        action="store_true",
        help="instead: integrated gradients beside Captum and transformers-interpret, on the model and on one of "
        "GPT-2's size (about 20 minutes)",
    )
    parser.add_argument(
        "--growth", action="store_true", help="instead: seconds and memory by length of text (about 15 minutes)"
    )
    parser.add_argument("--load", type=int, metavar="STUDENTS", help="instead: the page under so many readers at once")
    parser.add_argument(
        "--requests", type=int, help=f"with --load: requests of all students (default: {REQUESTS_EACH} each)"
    )
    parser.add_argument(
        "--pause",
        type=float,
        default=PAUSE,
        help="with --load: seconds between two of one student (default: %(default)s)",
    )
    parser.add_argument(
        "--examples",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="with --load: share of the requests about the page's examples (default: none, all texts are their own)",
    )
    return parser


def _print_methods(clf: Classifier, options: argparse.Namespace) -> None:
    """The tables of the plain command."""
    print(f"{len(clf.encode(TEXT))} tokens, medians of {options.repeats} runs\n")
    print(table(model_timings(clf, repeats=options.repeats)), flush=True)
    if options.patching_124m:
        large = random_124m(clf)
        print(f"\n{large!r}, {large.n_parameters:,} parameters, at most {PATCHED_TOKENS} tokens\n")
        print(table(patching_timings(large, repeats=options.repeats)), flush=True)
    if options.page:
        print(f"\n{table(page_timings(options.repeats))}")


def _print_side_by_side(clf: Classifier, repeats: int) -> None:
    """Integrated gradients on the model and on the large shape, at each length."""
    print(f"Medians of {repeats} runs, baseline eos")
    if not has_interpret():
        print("transformers-interpret is not installed and left out (pip install --no-deps transformers-interpret)")
    for model, words in ((clf, clf.name), (random_124m(clf), SHAPE)):
        per_token = None
        for length in LENGTHS:
            expected = None if per_token is None else per_token * length
            lines = side_by_side(model, length, repeats=repeats, captum_peak=expected)
            if lines[0].peak is not None and not lines[0].note:
                per_token = lines[0].peak / lines[0].n_tokens
            print(f"\n{words}; {lines[0].n_tokens} tokens\n{side_by_side_table(lines)}", flush=True)
        peaks = memory_by_steps(model, MEMORY_TOKENS)
        told = ", ".join(f"{n}: {'–' if peak is None else f'{peak / 1e6:.0f} MB'}" for n, peak in peaks)
        print(f"\nOurs at most, by number of gradients, {MEMORY_TOKENS} tokens: {told}", flush=True)


if __name__ == "__main__":
    main()
