from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import randomise, tiny_config
from transformers import GPT2ForSequenceClassification

from gpt2cls_core.training import head, prefixes
from gpt2cls_core.training.examples import Examples
from gpt2cls_core.training.head import fit_head, frozen_vectors
from gpt2cls_core.training.pooling import LastTokenClassifier

STOP = 13
IDS = [[5, 9, 7, 13, 8, 13, 6], [8, 13], [3, 13, 4, 9], [6, 2, 11], [9, 9, 1], [4]]
LABELS = [0, 1, 0, 1, 1, 0]


@pytest.fixture
def examples() -> Examples:
    return Examples([np.array(ids, np.int32) for ids in IDS], LABELS)


@pytest.fixture
def learner() -> LastTokenClassifier:
    return LastTokenClassifier(randomise(GPT2ForSequenceClassification(tiny_config(2, 21))))


def test_the_head_is_put_in_place_and_separates(learner: LastTokenClassifier, examples: Examples) -> None:
    before = {name: p.clone() for name, p in learner.model.named_parameters()}
    assert fit_head(learner, examples, c=1e4, pad=0, body="tiny") > 0
    for name, parameter in learner.model.named_parameters():
        assert parameter.equal(before[name]) == (name != "score.weight"), name
    with torch.no_grad():
        hidden = [learner.model.transformer(torch.tensor([ids])).last_hidden_state[0, -1] for ids in IDS]
        classes = [int(learner.model.score(vector).argmax()) for vector in hidden]
    assert classes == LABELS  # six texts in ten dimensions, hardly a penalty


def test_vectors_are_computed_once_per_set_of_texts(
    learner: LastTokenClassifier, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    original = learner.model.transformer.forward
    monkeypatch.setattr(learner.model.transformer, "forward", lambda *a, **k: runs.append(1) or original(*a, **k))
    first = frozen_vectors(learner, examples, pad=0, body="once")
    assert frozen_vectors(learner, examples, pad=0, body="once") is first and runs == [1]
    frozen_vectors(learner, Examples(examples.ids[::-1], examples.labels), pad=0, body="once")
    frozen_vectors(learner, examples, pad=0, body="another")
    assert runs == [1, 1, 1]
    assert len(head._KEPT) == 1  # the last set only
    assert (
        fit_head(learner, examples, c=1, pad=0, body="another")
        >= frozen_vectors(learner, examples, pad=0, body="another").seconds
    )


def test_beginnings_count_by_their_share(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "FEWEST_TOKENS", 2)
    model = randomise(GPT2ForSequenceClassification(tiny_config(2, 21)))
    ends = torch.arange(model.config.vocab_size) == STOP
    taught = LastTokenClassifier(model, ends=ends, prefix_weight=0.5)
    frozen = frozen_vectors(taught, examples, pad=0, body="beginnings")
    rows = sorted(zip(frozen.owners.tolist(), frozen.weights.round(4).tolist(), strict=True))
    assert rows == [(0, 0.2), (0, 0.3), (0, 1), (1, 1), (2, 0.5), (2, 1), (3, 1), (4, 1), (5, 1)]
    with torch.no_grad():
        for owner, weight, length in ((0, 0.2, 4), (0, 0.3, 6), (2, 0.5, 2)):
            alone = model.transformer(torch.tensor([IDS[owner][:length]])).last_hidden_state[0, -1]
            where = (frozen.owners == owner) & np.isclose(frozen.weights, weight)
            np.testing.assert_allclose(frozen.values[where][0], alone.numpy(), atol=1e-5)  # float32 in another order
    elsewhere = LastTokenClassifier(model, ends=ends, prefix_weight=0.5, read_out="mean")
    assert len(frozen_vectors(elsewhere, examples, pad=0, body="beginnings").values) == len(IDS)
