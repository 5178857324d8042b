"""Features made up for tests: random vectors, in which the label can be read off more easily from layer to layer."""

from __future__ import annotations

import torch

from gpt2cls_core.frozen_features import PLACES, FrozenFeatures, Norm, pack


def made_features(*, rows: int = 40, held_out: int = 14, layers: int = 4, size: int = 10) -> FrozenFeatures:
    generator = torch.Generator().manual_seed(0)
    labels = [torch.arange(n) % 2 for n in (rows, held_out)]
    packed = {}
    for layer in range(layers):
        for place in PLACES:
            parts = [torch.randn(len(part), size, generator=generator) for part in labels]
            for part, label in zip(parts, labels, strict=True):
                part[:, -1] += layer * (2 * label - 1)  # nothing to find in layer 0
            packed[layer, place] = pack(*parts)
    norm = Norm(torch.rand(size, generator=generator) + 0.5, torch.randn(size, generator=generator), 1e-5)
    return FrozenFeatures(tuple(range(layers)), PLACES, *labels, norm, "0123456789abcdef", "made/up", packed)
