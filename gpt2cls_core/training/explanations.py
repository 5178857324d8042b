"""Explanations on trial over the validation split of SST-2: which of them predicts what the model does, on average?

On one text a method can win by luck (see `referee`). Here all are tried out on the same texts, by both ways of removing tokens, and
each number carries its 95 % interval, mean ± 1.96 standard errors. As the texts differ more than the methods do, each method is
also compared with random orders text by text (``minus_random``): if that interval holds 0, the method does no better than random on
average. The split is measured on only; the labels are not even read, for what is explained is the verdict, right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..classifier import Classifier, Encoding, load_classifier
from ..errors import DataError, OptionError
from ..faithfulness import REMOVALS
from ..referee import MEASURES, METHODS, Contest, beats, put_on_trial
from ..scoring import token_scores
from ..trace import trace
from ..weights import fingerprint
from .command_line import command_line
from .data import load_and_hold_out, load_labelled
from .files import claim_folder, read_json, write_json
from .interventions import within
from .options import ExplanationsOptions
from .shortcut import label_planted, learn_shortcut, measure_shortcut, plant, share_of

__all__ = ["explanations", "summarise_trials", "try_text"]

FEWEST_TOKENS = 3  # of two, every order is the other's reverse
MAY_CHANGE = ("output", "results", "shortcut", "shortcut_texts", "shortcut_words")
Trials = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Of one text, by removal and method: the measures; of "random", a list for each measure, one value per draw."""


def explanations(options: ExplanationsOptions) -> Path:
    """The command: measure one classifier and merge the numbers into the results file; returns its path.

    Every text that is finished is kept in the output folder, so that the same command goes on after a kill.

    Raises:
        ModelError: the classifier or the base of the shortcut can't be loaded.
        DataError: the data can't be read or hold fewer than two texts to try, or the planted word is not one token.
        OptionError: fewer than 2 texts or draws, no points, words to plant that are not two, or an output folder of another run.
    """
    _check(options)
    clf = load_classifier(options.model)
    texts = load_labelled(options.data, "validation").sample(None, seed=options.seed).texts
    encodings = [clf.encode(text) for text in texts]
    chosen = [encoding for encoding in encodings if len(encoding) - encoding.n_virtual >= FEWEST_TOKENS]
    if len(chosen) < 2:
        raise DataError(
            f"{options.data} has {len(chosen)} validation texts of {FEWEST_TOKENS} tokens or more; give more."
        )
    bound = {name: value for name, value in vars(options).items() if name not in MAY_CHANGE}
    output = claim_folder(options.output, bound | {"fingerprint": fingerprint(clf.model)})
    entry = {
        "command": command_line("explanations", options),
        "date": date.today().isoformat(),
        "seed": options.seed,
        "data": f"{Path(options.data).name}/validation",
        "draws": options.draws,
        "points": options.points,
        **summarise_trials(_try_texts(clf, chosen[: options.sample], options, output / "texts")),
    }
    path, name = Path(options.results), clf.card.get("name", Path(options.model).name)
    _merge(path, name, lambda before: {**{k: v for k, v in before.items() if k == "shortcut"}, **entry})
    if options.shortcut:
        shortcut = _shortcut(options, texts, output)
        _merge(path, name, lambda before: {**before, "shortcut": shortcut})
    return path


def _check(options: ExplanationsOptions) -> None:
    for name, number, least in (
        ("sample", options.sample, 2),
        ("draws", options.draws, 2),
        ("points", options.points, 1),
    ):
        if number < least:
            raise OptionError(f"{name} must be {least} or more, not {number}.")
    if len(set(options.shortcut_words)) != 2:
        raise OptionError(
            f"Give two different words to plant, one that decides and a decoy, not {' '.join(options.shortcut_words)!r}."
        )


def _merge(path: Path, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    results = read_json(path, {})
    kept = results.setdefault("explanations", {})
    kept[name] = change(kept.get(name, {}))
    write_json(path, results)


def _try_texts(
    clf: Classifier, encodings: Sequence[Encoding], options: ExplanationsOptions, folder: Path
) -> list[Trials]:
    """What came of each text, from its file where it was finished before."""
    trials = []
    for number, encoding in enumerate(tqdm(encodings, "texts on trial", unit="text")):
        file = folder / f"{number:04}.json"
        if (found := read_json(file)) is None:
            found = try_text(clf, encoding, draws=options.draws, points=options.points, seed=options.seed + number)
            write_json(file, found)
        trials.append(found)
    return trials


def try_text(clf: Classifier, encoding: Encoding, *, draws: int, points: int, seed: int) -> Trials:
    """All methods on one text, by both ways of removing; what does not depend on the removal is scored once."""
    read = trace(clf, encoding)
    scores = {method: token_scores(clf, read, method) for method in METHODS}
    trials = {}
    for removal in REMOVALS:
        scores |= {"occlusion": token_scores(clf, read, "occlusion", removal=removal)}
        contest = put_on_trial(clf, read, scores, removal=removal, draws=draws, points=points, seed=seed)
        trials[removal] = {method: _measures(contest, method) for method in scores}
        trials[removal]["random"] = {measure: drawn.tolist() for measure, drawn in contest.drawn.items()}
    return trials


def _measures(contest: Contest, method: str) -> dict[str, float]:
    return {measure: getattr(contest.results[method], measure) for measure in MEASURES}


def summarise_trials(trials: Sequence[Trials]) -> dict[str, Any]:
    """Means over texts.

    Returns:
        - ``n``
        - ``removal``: by removal and method, each measure's mean with ``minus_random``, the mean difference from random orders on
          the same text; and ``beats_random_share``, by measure the share of texts on which the method is beyond 95 % of the draws.
          Of ``random`` the mean of the draws, and how often one draw is beyond 95 % of the others, which is what luck gives.
    """
    removals = {}
    for removal in trials[0]:
        of = {method: [trial[removal][method] for trial in trials] for method in trials[0][removal]}
        drawn = {measure: torch.tensor([text[measure] for text in of["random"]]) for measure in MEASURES}
        removals[removal] = {method: _against(texts, drawn) for method, texts in of.items() if method != "random"} | {
            "random": _luck(drawn)
        }
    return {"n": len(trials), "removal": removals}


def _against(texts: Sequence[Mapping[str, float]], drawn: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """One method's summary; drawn are random orders' values [text draw] by measure."""
    summary: dict[str, Any] = {}
    shares = {}
    for measure, draws in drawn.items():
        values = [text[measure] for text in texts]
        differences = [value - float(row.mean()) for value, row in zip(values, draws, strict=True)]
        summary[measure] = within(values) | {"minus_random": within(differences)}
        shares[measure] = share_of([int(beats(value, row, measure)) for value, row in zip(values, draws, strict=True)])
    return {**summary, "beats_random_share": shares}


def _luck(drawn: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The same of random orders: each draw against the others of its text."""
    summary: dict[str, Any] = {measure: within(draws.mean(1).tolist()) for measure, draws in drawn.items()}
    shares = {}
    for measure, draws in drawn.items():
        others = [torch.cat([draws[:, :i], draws[:, i + 1 :]], 1) for i in range(draws.shape[1])]
        won = [
            sum(beats(float(draws[text, i]), rest[text], measure) for i, rest in enumerate(others)) / len(others)
            for text in range(len(draws))
        ]
        shares[measure] = {"share" if key == "mean" else key: value for key, value in within(won).items()}
    return {**summary, "beats_random_share": shares}


def _shortcut(options: ExplanationsOptions, texts: Sequence[str], output: Path) -> dict[str, Any]:
    """The planted test, on sentences of the validation split that training did not see."""
    words = (options.shortcut_words[0], options.shortcut_words[1])
    train = load_and_hold_out(options.data)[0].sample(None, seed=options.seed)
    learned = label_planted(plant(train.texts, words, seed=options.seed)[: options.shortcut_texts], seed=options.seed)
    clf = learn_shortcut(str(options.shortcut), learned, output / "shortcut", seed=options.seed)
    tried = plant(texts, words, seed=options.seed + 1)[: options.sample]
    return {
        "base": Path(str(options.shortcut)).name,
        "word": words[0],
        "decoy": words[1],
        "texts": len(learned),
        **measure_shortcut(clf, tried, words[0]),
    }
