"""A soft prompt: tokens that nobody can type, in front of every text.

Prompt tuning (Lester, Al-Rfou & Constant 2021, arXiv:2104.08691) leaves a model as it is and trains a few vectors that it reads
before the text, as if they were embeddings of words: "⟦1⟧ ⟦2⟧ … a slow start". Later tokens attend to them, so they can turn what
the frozen body makes of the text.

Here they are what they pretend to be, words of the vocabulary. `PromptedEmbedding` is the token embedding with one more row per
virtual token, and the ids of virtual tokens are the numbers after the last real one. So whatever reads ids, positions or
attention (traces, lenses, integrated gradients, cuts, patches) reads them too, as columns of their own, and needs no rule for
them. `Classifier.encode` puts them in front; nothing else has to know.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PromptedEmbedding", "virtual_ids", "virtual_texts", "with_virtual_ids"]


class PromptedEmbedding(nn.Module):
    """Token embeddings of which the last rows are the prompt's; the others stay those of `base`, in its memory.

    Args:
        base: the embeddings of the real vocabulary, V rows.
        prompt: one row per virtual token [virtual d_model]; their ids are V, V + 1, …
    """

    def __init__(self, base: nn.Embedding, prompt: nn.Parameter) -> None:
        super().__init__()
        self.base = base
        self.prompt = prompt

    @property
    def n_virtual(self) -> int:
        """How many tokens the prompt has."""
        return len(self.prompt)

    @property
    def num_embeddings(self) -> int:
        """Rows: real tokens and virtual ones."""
        return self.base.num_embeddings + self.n_virtual

    @property
    def weight(self) -> Tensor:
        """All rows as one matrix [V+virtual d_model], put together anew each time."""
        return torch.cat([self.base.weight, self.prompt])

    def forward(self, input_ids: Tensor) -> Tensor:
        """The embeddings [… d_model] of ids [… ]."""
        beyond = input_ids - self.base.num_embeddings
        real = self.base(input_ids.clamp(max=self.base.num_embeddings - 1))
        virtual = nn.functional.embedding(beyond.clamp(min=0), self.prompt)
        return torch.where((beyond >= 0)[..., None], virtual, real)


def virtual_ids(body: nn.Module) -> Tensor:
    """The ids of a body's virtual tokens, int64 [virtual]; none where it has no soft prompt."""
    wte = body.wte
    n_virtual = wte.n_virtual if isinstance(wte, PromptedEmbedding) else 0
    return torch.arange(wte.num_embeddings - n_virtual, wte.num_embeddings)


def virtual_texts(n_virtual: int) -> tuple[str, ...]:
    """What to show for virtual tokens, in brackets that hardly any text holds: ⟦1⟧, ⟦2⟧, …"""
    return tuple(f"⟦{i}⟧" for i in range(1, n_virtual + 1))


def with_virtual_ids(body: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """A batch of ids and its mask [batch pos], each with the body's virtual tokens before the first position."""
    virtual = virtual_ids(body).to(input_ids.device).expand(len(input_ids), -1)
    mask = torch.cat([torch.ones_like(virtual, dtype=attention_mask.dtype), attention_mask], 1)
    return torch.cat([virtual, input_ids], 1), mask
