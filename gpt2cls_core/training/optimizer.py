"""Muon for the hidden matrices, AdamW for the rest, behind one optimizer.

Muon (Jordan et al. 2024, `torch.optim.Muon`) orthogonalises the momentum of each weight matrix; on small language
models it learns about twice as much per token as AdamW. It is meant for matrices between hidden states only, so
embeddings, biases, LayerNorms and the head stay with AdamW (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import Trainer

__all__ = ["MuonAdamW", "MuonTrainer"]


class MuonAdamW(torch.optim.Optimizer):
    """One optimizer to the trainer and its schedulers; inside, `torch.optim.Muon` and `torch.optim.AdamW`.

    Args:
        model: a GPT-2 model; its 2-D weights inside the blocks go to Muon.
        lr: learning rate of both; Muon's is matched to AdamW's update size (``match_rms_adamw``).
        weight_decay: of the matrices; vectors get none.
    """

    def __init__(self, model: nn.Module, *, lr: float, weight_decay: float = 0.01) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        hidden = [p for name, p in named if ".h." in name and p.ndim == 2]
        other = [p for name, p in named if not (".h." in name and p.ndim == 2)]
        self.inner: list[torch.optim.Optimizer] = []
        if hidden:
            self.inner.append(
                torch.optim.Muon(hidden, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if other:
            decayed = [{"params": [p for p in other if p.ndim == 2], "weight_decay": weight_decay}]
            plain = [{"params": [p for p in other if p.ndim != 2], "weight_decay": 0.0}]
            groups = [group for group in decayed + plain if group["params"]]
            self.inner.append(torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95)))
        super().__init__([{"params": hidden + other}], {"lr": lr})
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ANN001, ANN201 - the signature of torch.optim.Optimizer
        """One step of each part."""
        loss = None if closure is None else closure()
        for optimizer in self.inner:
            optimizer.step()
        return loss

    def state_dict(self) -> dict:
        """The state of both parts, so that a run resumes exactly."""
        return {"inner": [optimizer.state_dict() for optimizer in self.inner]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore what `state_dict` gave."""
        for optimizer, state in zip(self.inner, state_dict["inner"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]


class MuonTrainer(Trainer):
    """The Hugging Face trainer with `MuonAdamW` in place of its own AdamW."""

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Called by the trainer when training starts."""
        if self.optimizer is None:
            self.optimizer = MuonAdamW(
                model or self.model, lr=self.args.learning_rate, weight_decay=self.args.weight_decay
            )
        return self.optimizer
