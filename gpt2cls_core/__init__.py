"""Why can GPT-2 classify a whole text from the embedding of its last token? The library under the page.

    from gpt2cls_core import load_classifier, predict, trace, integrated_gradients, attention_rollout

    clf = load_classifier()                      # the bundled model; or a folder, or a hub id
    predict(clf, "A slow start, but what an ending!")
    t = trace(clf, "A slow start, but what an ending!")
    attention_rollout(t).weights[-1]             # how attention could carry each token to the last one
    integrated_gradients(clf, t.encoding).scores # which tokens decided

Importing the package loads torch; transformers and captum wait until a function needs them.
"""

from __future__ import annotations

from .attribution import Attribution, agreement, integrated_gradients
from .classifier import Classifier, Encoding, bundled_folder, bundled_names, load_classifier
from .errors import DataError, Gpt2clsError, ModelError, OptionError, TextError
from .predict import HeadProducts, Prediction, head_products, predict, predict_batch
from .rollout import GradientRollout, Rollout, attention_rollout, gradient_weighted_rollout
from .trace import Trace, trace
from .words import Word, sum_by_word

__all__ = [
    "Attribution",
    "Classifier",
    "DataError",
    "Encoding",
    "Gpt2clsError",
    "GradientRollout",
    "HeadProducts",
    "ModelError",
    "OptionError",
    "Prediction",
    "Rollout",
    "TextError",
    "Trace",
    "Word",
    "agreement",
    "attention_rollout",
    "bundled_folder",
    "bundled_names",
    "gradient_weighted_rollout",
    "head_products",
    "integrated_gradients",
    "load_classifier",
    "predict",
    "predict_batch",
    "sum_by_word",
    "trace",
]
