"""Many variants at once, against each of them run alone by transformers."""

from __future__ import annotations

import pytest
import torch
from loops import ROUNDING
from torch import Tensor

from gpt2cls_core import Classifier
from gpt2cls_core import resume as resuming
from gpt2cls_core.trace import forward_hooks
from gpt2cls_core.variants import variant_logits


def alone(clf: Classifier, ids: Tensor, positions: Tensor) -> Tensor:
    with torch.no_grad():
        hidden = clf.body(input_ids=ids[None], position_ids=positions[None]).last_hidden_state
        return clf.model.score(hidden[0, -1])


def worked_on(clf: Classifier, *given: Tensor) -> list[int]:
    """How many vectors went through the MLP of each block."""
    sizes: list[int] = []
    with forward_hooks(*[(block.mlp, lambda _m, inputs, _o: sizes.append(len(inputs[0]))) for block in clf.body.h]):
        variant_logits(clf, *given)
    return sizes


def test_shared_beginnings_are_computed_once(clf: Classifier) -> None:
    ids = torch.tensor([[5, 6, 7], [5, 6, 8], [5, 9, 7], [5, 6, 7], [5, 6, 0]])
    positions, lengths = torch.arange(3).expand(5, -1), torch.tensor([3, 3, 3, 3, 2])
    # 5 | 5 6, 5 9 | 5 6 7, 5 6 8, 5 9 7: six beginnings of four different rows, of which one ends at 5 6.
    assert worked_on(clf, ids, positions, lengths) == [6, 6, 4]
    positions = torch.tensor(
        [[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 3], [0, 1, 2]]
    )  # now two of them differ at the end
    assert worked_on(clf, ids, positions, lengths) == [7, 7, 5]


@pytest.mark.parametrize("at_once", [7, 30, 2048], ids="{} tokens at once".format)
def test_every_row_gets_what_it_would_get_alone(clf: Classifier, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(resuming, "TOKENS_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(at_once)
    ids = torch.randint(1, 3, (40, 7), generator=generator)  # of two tokens only, so that many begin alike
    positions = torch.rand(40, 12, generator=generator).argsort(1)[:, :7].sort(1).values
    lengths = torch.randint(1, 8, (40,), generator=generator)
    expected = [alone(clf, *(part[:n] for part in row)) for *row, n in zip(ids, positions, lengths, strict=True)]
    torch.testing.assert_close(
        variant_logits(clf, ids, positions, lengths), torch.stack(expected), atol=ROUNDING, rtol=0
    )


def test_what_comes_after_a_row_is_not_read(clf: Classifier) -> None:
    ids, positions = torch.tensor([[5, 6, 7, 8], [5, 6, 7, 8]]), torch.arange(4).expand(2, -1)
    logits = variant_logits(clf, ids, positions, torch.tensor([2, 3]))
    ids[0, 2:] = 9
    assert variant_logits(clf, ids, positions, torch.tensor([2, 3])).equal(logits)
