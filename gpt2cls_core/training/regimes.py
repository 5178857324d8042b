"""What was trained? The study that compares the regimes: same base, same texts, same measure.

`cells` says what is run and in which order; here each cell is run, its result written at once to a file of its own, and all that is
finished is summed up (`summary`) into the results. A cell that has its file is not run again, and a file is written in one move, so
that the study may be stopped or killed at any time: the same command goes on where it was, inside a run at its last checkpoint.

The test splits are measured in the table, curves and read-outs only, after everything was chosen.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoConfig

from ..errors import DataError, OptionError
from ..weights import fingerprint
from .baselines import bag_of_words, majority
from .cells import BAG_OF_WORDS, Cell, passes_of, plan
from .clock import clock
from .data import LabelledTexts, load_labelled
from .evaluate import accuracy_of, split_name
from .files import claim_folder, read_json, write_json
from .finetune import draw_sources, read_sources, train
from .options import REGIMES, FinetuneOptions, RegimesOptions
from .pooling import predict
from .summary import summarise
from .trainable import changed_tensors, load_base

__all__ = ["regimes", "run_cell"]

MAY_CHANGE = ("output", "results", "regimes", "seeds", "sizes", "minutes")
BYTES_EACH = 2  # as `ship` packs weights


def regimes(options: RegimesOptions) -> Path:
    """Run what is not finished yet, until it is or the time is up; returns the results file.

    Raises:
        OptionError: unknown regimes, other numbers that make no study, or an output folder of another study.
        DataError: data that can't be used, or fewer texts than asked for.
        ModelError: the base can't be read.
    """
    started = time.monotonic()
    _check(options)
    asked, options = options, _within_data(options)
    named = {name: (path, split) for path, split, name in map(split_name, options.test)}
    if len(named) < len(options.test):
        raise OptionError(f"--test: two splits would have the same name in the results: {', '.join(options.test)}.")
    tests = {name: load_labelled(*place).sample(options.sample, seed=0) for name, place in named.items()}
    recipe = vars(FinetuneOptions(base=options.base, data=(), output=""))  # what all runs have in common
    bound = {k: v for k, v in vars(options).items() if k not in MAY_CHANGE} | {"recipe": recipe}
    output = claim_folder(options.output, bound | {"base_fingerprint": _base_fingerprint(options)})
    finished, whole = _run_cells(options, tests, output, started)
    entry = summarise(finished, asked)
    entry |= {"majority": _majority(options, tests), "complete": whole, "date": date.today().isoformat()}
    results = Path(options.results)
    write_json(results, read_json(results, {}) | {"regimes": entry})
    done = "all cells are finished" if whole else "the time is up; the same command goes on"
    print(f"\n{len(finished)} cells finished: {done}.", flush=True)
    return results


def _run_cells(
    options: RegimesOptions, tests: dict[str, LabelledTexts], output: Path, started: float
) -> tuple[list[dict[str, Any]], bool]:
    """What came of the cells that are finished, in the order of the plan, and whether these are all."""

    def lookup(cell: Cell) -> dict[str, Any] | None:
        return read_json(output / "cells" / f"{cell.name}.json")

    finished = []
    for cell in plan(options, lookup, d_model=AutoConfig.from_pretrained(options.base).n_embd):
        if lookup(cell) is None:
            if options.minutes is not None and time.monotonic() - started > 60 * options.minutes:
                return finished, False
            print(f"\n=== {cell.name}", flush=True)
            result = run_cell(cell, options, tests, work=output / "work" / cell.name)
            write_json(output / "cells" / f"{cell.name}.json", result)
            shutil.rmtree(output / "work", ignore_errors=True)
        finished.append(lookup(cell))
    return finished, True


def run_cell(cell: Cell, options: RegimesOptions, tests: dict[str, LabelledTexts], *, work: Path) -> dict[str, Any]:
    """Train and measure one cell; what came of it, as JSON.

    Args:
        work: folder for checkpoints.
    """
    measured = dict(list(tests.items())[: {"search": 0, "table": None}.get(cell.part, 1)])
    settings = FinetuneOptions(
        base=options.base,
        data=tuple(f"{source}:{passes_of(cell, options.fewest_texts)}" for source in options.data),
        output=str(work),
        regime="full" if cell.regime == BAG_OF_WORDS else cell.regime,
        examples=cell.examples,
        batch_size=options.batch_size,
        measurements=1,
        seed=cell.seed,
        bf16=options.bf16,
        limit=options.limit,
    )
    result = dataclasses.asdict(cell)
    if cell.regime == BAG_OF_WORDS:
        return result | _bag_of_words(settings, measured)
    settings = dataclasses.replace(settings, **{"head_c" if cell.regime == "head" else "learning_rate": cell.rate})
    trained = train(settings, read_out=cell.read_out)
    kept = changed_tensors(trained.model, trained.adapter, cell.regime)
    keys = ("parameters", "trained_parameters", "texts", "tokens", "seconds", "held_out_accuracy", "held_out_texts")
    return result | {key: trained.record[key] for key in keys} | {
        "stored_bytes": BYTES_EACH * sum(tensor.numel() for tensor in kept.values()),
        "accuracy": {
            name: accuracy_of(
                predict(trained.model, trained.tokenizer, test.texts, read_out=cell.read_out), test.labels
            )
            for name, test in measured.items()
        },
    }  # fmt: skip


def _bag_of_words(settings: FinetuneOptions, tests: dict[str, LabelledTexts]) -> dict[str, Any]:
    """The baseline on the texts that a regime would be given."""
    start = clock()
    drawn = sum((train for _, train, _ in draw_sources(settings).values()), LabelledTexts([], []))
    words = bag_of_words(drawn)
    weights = words[-1].coef_.size + words[-1].intercept_.size
    return {
        "parameters": weights,
        "trained_parameters": weights,
        "stored_bytes": BYTES_EACH * weights,
        "texts": len(drawn),
        "seconds": round(clock() - start, 1),
        "accuracy": {name: accuracy_of(words.predict(test.texts), test.labels) for name, test in tests.items()},
    }


def _majority(options: RegimesOptions, tests: dict[str, LabelledTexts]) -> dict[str, Any]:
    """What always naming the commoner class of the train splits reaches."""
    trains = [train for _, train, _ in read_sources(options.data, options.limit).values()]
    everything = sum(trains, LabelledTexts([], []))
    return {name: accuracy_of(majority(everything, test.texts), test.labels) for name, test in tests.items()}


def _check(options: RegimesOptions) -> None:
    unknown = sorted(set(options.regimes) - set(REGIMES))
    if unknown or not options.regimes:
        raise OptionError(
            f"There is no regime {', '.join(map(repr, unknown)) or 'to compare'}; choose of {', '.join(REGIMES)}."
        )
    numbers = {
        "--seeds": options.seeds,
        "--passes": min(options.passes, default=0),
        "--sizes": min(options.sizes, default=2),
    }
    numbers |= {"--sample": options.sample or 1, "--fewest-texts": options.fewest_texts}
    for flag, number in numbers.items():
        if number < (least := 2 if flag == "--sizes" else 1):
            raise OptionError(f"{flag} must be {least} or more, not {number}.")
    if PartialState(cpu=not torch.cuda.is_available()).num_processes > 1:
        raise OptionError("The study runs in one process; start it without accelerate launch.")


def _within_data(options: RegimesOptions) -> RegimesOptions:
    """The options without sizes that the data do not fill.

    Raises:
        DataError: the table asks for more texts than there are.
    """
    sources = read_sources(options.data, options.limit).values()
    each = min(2 * min(train.labels.count(label) for label in (0, 1)) for _, train, _ in sources)
    most = each * len(sources)
    if options.examples is not None and options.examples > most:
        raise DataError(
            f"--examples {options.examples} are more than there are: {most}, as many of each class and source."
        )
    table = options.examples or most
    return dataclasses.replace(
        options,
        sizes=tuple(size for size in options.sizes if size < table),
        search_examples=options.search_examples if (options.search_examples or most) < most else None,
    )


def _base_fingerprint(options: RegimesOptions) -> str:
    model, _ = load_base(FinetuneOptions(base=options.base, data=(), output=""))
    return fingerprint(model.transformer)
