"""One linear probe per layer, trained and bundled with its classifier.

A linear probe (Alain & Bengio 2016, arXiv:1610.01644) is a logistic regression on vectors that it did not help to make.
Used as a lens (as Belrose et al. 2023, arXiv:2303.08112, do for next tokens) it asks each layer in that layer's own
coordinates, where the raw lens asks every layer in the last one's:

    margin(x) = w_layer · x̂ + b_layer,   x̂ = (x − mean(x)) / sqrt(var(x) + ε)

x̂ is the residual stream normalised as every GPT-2 LayerNorm does before its learned scale and shift: what the next
block would be given. The head after ``ln_f`` has this very form, so at the last layer the probe could learn the head
itself.

The probes of a model lie in its folder as ``probes.safetensors``, a few kilobytes, with a fingerprint of the head
beside which they were trained. `python -m gpt2cls_core.training probes` trains them and measures both lenses.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .classifier import Classifier, bundled_folder
from .errors import ModelError

__all__ = ["LensProbes", "load_lens_probes", "normalised", "save_lens_probes"]

FILE = "probes.safetensors"


@dataclass(frozen=True, eq=False)
class LensProbes:
    """Linear readings of every layer, for class 1 against class 0.

    Attributes:
        weights: [layer+1 d_model]; row 0 reads the embeddings.
        bias: [layer+1]
    """

    weights: Tensor
    bias: Tensor


def normalised(clf: Classifier, vectors: Tensor) -> Tensor:
    """Vectors [… d_model], each with mean 0 and variance 1, as LayerNorm makes them before its scale and shift."""
    return torch.nn.functional.layer_norm(vectors, vectors.shape[-1:], eps=clf.body.ln_f.eps)


def load_lens_probes(clf: Classifier) -> LensProbes:
    """The probes in a classifier's folder.

    Raises:
        ModelError: there are none, the file is damaged, or they were trained for another model.
    """
    from safetensors import SafetensorError, safe_open

    file = (bundled_folder(clf.name) or Path(clf.name)) / FILE
    advice = "Train them with: python -m gpt2cls_core.training probes"
    if not file.is_file():
        raise ModelError(f"{clf.name} has no probes ({FILE} in its folder). {advice}")
    try:
        with safe_open(str(file), "pt") as stored:
            weights, bias = (stored.get_tensor(name).float() for name in ("weights", "bias"))
            head = (stored.metadata() or {}).get("head")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} can't be read; it is damaged. {advice} ({error})") from error
    layers = clf.n_layer + 1
    if weights.shape != (layers, clf.d_model) or bias.shape != (layers,) or head != _fingerprint(clf):
        raise ModelError(f"{file} was trained for another model than {clf.name}. {advice}")
    if not (weights.isfinite().all() and bias.isfinite().all()):
        raise ModelError(f"{file} holds weights that are not numbers. {advice}")
    return LensProbes(weights, bias)


def save_lens_probes(clf: Classifier, probes: LensProbes) -> Path:
    """Write the probes into the classifier's folder, in one move; returns the file.

    Raises:
        ModelError: the classifier was not loaded from a folder.
    """
    from safetensors.torch import save_file

    folder = bundled_folder(clf.name) or Path(clf.name)
    if not folder.is_dir():
        raise ModelError(
            f"{clf.name} is no folder, so its probes have no place. Save the classifier to a folder first."
        )
    partial = folder / f"{FILE}.partial"
    tensors = {"weights": probes.weights.float().contiguous(), "bias": probes.bias.float().contiguous()}
    save_file(tensors, partial, metadata={"head": _fingerprint(clf)})
    partial.chmod(0o644)  # safetensors writes for the owner alone
    os.replace(partial, folder / FILE)
    return folder / FILE


def _fingerprint(clf: Classifier) -> str:
    """What tells one trained head from another."""
    return hashlib.sha256(clf.score.float().cpu().numpy().tobytes()).hexdigest()[:16]
