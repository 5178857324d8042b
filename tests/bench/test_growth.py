"""The cost of longer texts: every method at every length, until one takes too long."""

from __future__ import annotations

from gpt2cls_core import Classifier
from gpt2cls_core.bench.growth import Cost, growth, growth_table

METHODS = [
    "trace",
    "rollout of a trace",
    "integrated gradients, auto",
    "each token cut, direct edges",
    "each token cut, every route",
]


def test_every_method_at_every_length_that_the_model_reads(clf: Classifier):
    costs = list(growth(clf, (4, 8, 16)))
    assert [(cost.n_tokens, cost.name) for cost in costs] == [(n, name) for n in (4, 8) for name in METHODS]
    assert all(cost.seconds > 0 for cost in costs)


def test_what_takes_too_long_is_not_run_on_longer_texts(clf: Classifier):
    assert [cost.n_tokens for cost in growth(clf, (4, 8), patience=0.0)] == [4] * len(METHODS)


def test_the_table_of_numbers_worked_out_by_hand():
    text = growth_table([Cost("trace", 16, 0.5, 2_000_000), Cost("cuts", 16, 70.0, None), Cost("trace", 1024, 1.25, 0)])
    head, trace, cuts = text.splitlines()
    assert head.split() == ["s", "/", "MB", "at", "…", "tokens", "16", "1,024"]
    assert trace.split() == ["trace", "0.5", "/", "2", "1.25", "/", "0"]
    assert cuts.split() == ["cuts", "70", "/", "–", "–"]
