"""The top of the page as data: the question and the model, the switch between models, and the verdict's words."""

from __future__ import annotations

import html
from typing import Any

from gpt2cls_core import Trace

from . import models
from .glossary import term_id
from .prose import sides

QUESTION = "How can one last token know the whole sentence?"
TITLE = "gpt2cls · " + QUESTION
WORDS = {
    "count": "{n} tokens",
    "count one": "{n} token",
    "virtual": "{count} after {n_virtual} virtual ones",
    "cut": "The model reads {n} tokens of a text at once; the first {cut} of yours were cut. Shorten it to have all of it read.",
    "margin": "margin {margin:+.2f} · P({label}) {probability:.3f}",
    "probability": "{label} {probability:.3f}",
    "nothing": "—",
}
"""Of the verdict."""
TERMS_IN_FACTS = ("SST-2", "bag of words")  # of the glossary


def switch_choices(offered: list[str]) -> list[tuple[str, str]]:
    """Titles and names of the models, from the least trained to the most; a foreign one first."""
    order = list(models.TRAINED)
    by_training = sorted(offered, key=lambda name: order.index(name) if name in order else -1)
    return [(models.title(name), name) for name in by_training]


def masthead_html(facts: str, notice: str = "") -> str:
    """The question, one line on the model, and what else must be said, as HTML."""
    safe = _escaped(facts)
    for term in TERMS_IN_FACTS:
        safe = safe.replace(
            term, f'<span class="term" tabindex="0" role="button" aria-describedby="{term_id(term)}">{term}</span>'
        )
    told = f'<div class="told" role="alert">{_escaped(notice)}</div>' if notice else ""
    return f'<header class="masthead"><h1>{QUESTION}</h1><div class="facts">{safe}</div>{told}</header>'


def _escaped(text: str) -> str:
    # Both may name a foreign checkpoint; braces would be read as a template.
    return html.escape(text).replace("{", "&#123;").replace("$", "&#36;")


def verdict_value(trace: Trace) -> dict[str, Any]:
    """What the `Verdict` shows of a text that was read."""
    probabilities = trace.probabilities.tolist()
    n_virtual = trace.encoding.n_virtual
    n = len(trace.tokens) - n_virtual
    count = WORDS["count" if n > 1 else "count one"].format(n=n)
    if len(trace.labels) == 2:
        margin = float(trace.logits[1] - trace.logits[0])
        facts = WORDS["margin"].format(margin=margin, label=trace.labels[1], probability=probabilities[1])
        sign, place = ("positive" if margin > 0 else "negative"), probabilities[1]
    else:
        best = sorted(zip(probabilities, trace.labels, strict=True), reverse=True)[:3]
        facts = " · ".join(WORDS["probability"].format(label=label, probability=p) for p, label in best)
        sign, place = "", None
    return {
        "label": trace.label,
        "sign": sign,
        "place": place,
        "facts": facts,
        "count": WORDS["virtual"].format(count=count, n_virtual=n_virtual) if n_virtual else count,
        "notice": WORDS["cut"].format(n=n, cut=trace.tokens_cut) if trace.tokens_cut else "",
        "stale": False,
        "sides": sides(trace.labels),
    }


def unread_value(message: str) -> dict[str, Any]:
    """What it shows of one that could not be."""
    return {
        "label": WORDS["nothing"],
        "sign": "",
        "place": None,
        "facts": "",
        "count": "",
        "notice": message,
        "stale": True,
    }
