"""What a straight line can read out of frozen last-token vectors.

A linear probe (Alain & Bengio 2016, arXiv:1610.01644) is a logistic regression on vectors that it did not help to make. If it
does well, the information lies in the vector in a form that one dot product can read.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from transformers import PreTrainedTokenizerBase

from .data import LabelledTexts


@torch.inference_mode()
def last_token_vectors(
    body: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str], *, max_length: int, batch_size: int = 64
) -> np.ndarray:
    """The vector after ``ln_f`` at each text's last token.

    Args:
        body: a `GPT2Model` (no head), left in the mode that it is in.
        max_length: longer texts keep their last `max_length` tokens.

    Returns:
        float32 [text d_model], in the order of `texts`.
    """
    ids = [encoded[-max_length:] or [tokenizer.eos_token_id] for encoded in tokenizer(texts)["input_ids"]]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors = np.empty((len(ids), body.config.n_embd), np.float32)
    device = next(body.parameters()).device
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        lengths = torch.tensor([len(ids[i]) for i in rows])
        batch = torch.full((len(rows), int(lengths.max())), tokenizer.eos_token_id)
        for row, i in enumerate(rows):
            batch[row, : len(ids[i])] = torch.tensor(ids[i])
        # Right padding needs no mask: by the causal mask no real token sees a pad.
        hidden = body(batch.to(device)).last_hidden_state
        vectors[rows] = hidden[torch.arange(len(rows)), lengths - 1].float().cpu().numpy()
    return vectors


def probe_accuracy(train_vectors: np.ndarray, train: LabelledTexts, test_vectors: np.ndarray, test: LabelledTexts) -> float:
    """Accuracy on `test` of a logistic regression fitted on `train` (standardised inputs, C = 0.1)."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    probe.fit(train_vectors, train.labels)
    return float(np.mean(probe.predict(test_vectors) == np.asarray(test.labels)))
