"""Can a straight line tell two groups of vectors apart, and would it do so by luck?

With more dimensions than sentences a line can separate *anything*, shuffled labels too, as long as it is judged by the
sentences that it was fitted to. So it is judged by others: the sentences are dealt into folds, and each fold is
classified by a line fitted to the rest (cross-validation). And beside the accuracy stands a control, the same with
shuffled labels (in the sense of Hewitt & Liang 2019, arXiv:1909.03368): around one half for two equal classes, with a
spread that says how far from it chance alone may lead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .errors import OptionError

__all__ = ["PENALTY", "cross_validated_accuracy", "shuffled_labels", "stratified_folds"]

PENALTY = (
    1.0  # of the ridge, as a share of the mean squared length: strong, as there are fewer sentences than dimensions
)


def stratified_folds(classes: Tensor, folds: int) -> Tensor:
    """The fold of each sentence [sentence]: each class is dealt out in the order given, so every fold has its share.

    Args:
        classes: int64 [sentence]

    Raises:
        OptionError: fewer than two folds or classes, or a class with fewer sentences than folds.
    """
    sizes = classes.bincount()
    sizes = sizes[sizes > 0].tolist()
    if folds < 2 or len(sizes) < 2 or min(sizes) < folds:
        raise OptionError(
            f"folds must be 2 or more, with 2 classes or more and {folds} sentences of each; there are {sizes}."
        )
    parts = torch.empty_like(classes)
    for c in classes.unique():
        parts[classes == c] = torch.arange(int((classes == c).sum())) % folds
    return parts


def shuffled_labels(classes: Tensor, parts: Tensor, shuffles: int, *, seed: int) -> Tensor:
    """Labels shuffled within each fold, which keeps each fold's share of each class [shuffle sentence].

    Raises:
        OptionError: fewer than two shuffles, which have no spread.
    """
    if shuffles < 2:
        raise OptionError(f"shuffles must be 2 or more, not {shuffles}.")
    generator = torch.Generator().manual_seed(seed)
    shuffled = classes.repeat(shuffles, 1)
    for row in shuffled:
        for part in parts.unique():
            members = (parts == part).nonzero().flatten()
            row[members] = classes[members[torch.randperm(len(members), generator=generator)]]
    return shuffled


def cross_validated_accuracy(vectors: Tensor, truths: Tensor, parts: Tensor) -> Tensor:
    """Accuracy of a ridge classifier on the folds that it was not fitted to.

    One row of weights per class is fitted to its 0/1 indicator by least squares with a penalty, in its dual form, which
    needs one system of equations per layer and fold for all labellings `truths` [labelling sentence] at once:

        α = (K + λ I)⁻¹ (Y − mean Y),   K = X Xᵀ,   scores(x) = x Xᵀ α + mean Y,   λ = PENALTY · trace(K) / n

    Args:
        vectors: [layer sentence d_model], of similar length within a layer.
        truths: labellings of the sentences, int64 [labelling sentence]; each fold holds every class.
        parts: the fold of each sentence [sentence].

    Returns:
        [layer labelling], 0 to 1.
    """
    right = torch.zeros(len(vectors), len(truths))
    indicators = nn.functional.one_hot(truths).double()  # (labelling, sentence, class)
    flat = indicators.permute(1, 0, 2).flatten(1)  # (sentence, labelling × class)
    for part in parts.unique():
        train, test = parts != part, parts == part
        mean = vectors[:, train].double().mean(1, keepdim=True)
        x, held_out = vectors[:, train].double() - mean, vectors[:, test].double() - mean
        gram = x @ x.mT  # (layer, train, train)
        penalty = PENALTY * gram.diagonal(dim1=1, dim2=2).mean(-1).clamp(min=1e-12)
        share = flat[train].mean(0)
        alpha = torch.linalg.solve(gram + penalty[:, None, None] * torch.eye(gram.shape[-1]), flat[train] - share)
        scores = (held_out @ x.mT @ alpha + share).unflatten(-1, (len(truths), -1))  # (layer, test, labelling, class)
        right += (scores.argmax(-1) == truths[:, test].T).sum(1)
    return right / truths.shape[1]
