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
from .base import LanguageModel, States, load_base, read_states
from .cells import vector_at
from .classifier import Classifier, Encoding, bundled_folder, bundled_names, load_classifier
from .cloud import SentenceCloud, cloud_sentences, sentence_cloud
from .errors import DataError, Gpt2clsError, ModelError, OptionError, TextError
from .geometry import GeometryComparison, NearestWords, compare_geometry, nearest_words
from .ledger import Ledger, Term, margin_ledger
from .lens import LensGrid, NextTokenLens, class_lens, next_token_lens, probe_lens
from .predict import HeadProducts, Prediction, head_products, predict, predict_batch
from .probes import LensProbes, load_lens_probes
from .rollout import GradientRollout, Rollout, attention_rollout, gradient_weighted_rollout
from .trace import Trace, trace
from .words import Word, sum_by_word

__all__ = [
    "Attribution",
    "Classifier",
    "DataError",
    "Encoding",
    "GeometryComparison",
    "Gpt2clsError",
    "GradientRollout",
    "HeadProducts",
    "LanguageModel",
    "Ledger",
    "LensGrid",
    "LensProbes",
    "ModelError",
    "NearestWords",
    "NextTokenLens",
    "OptionError",
    "Prediction",
    "Rollout",
    "SentenceCloud",
    "States",
    "Term",
    "TextError",
    "Trace",
    "Word",
    "agreement",
    "attention_rollout",
    "bundled_folder",
    "bundled_names",
    "class_lens",
    "cloud_sentences",
    "compare_geometry",
    "gradient_weighted_rollout",
    "head_products",
    "integrated_gradients",
    "load_base",
    "load_classifier",
    "load_lens_probes",
    "margin_ledger",
    "nearest_words",
    "next_token_lens",
    "predict",
    "predict_batch",
    "probe_lens",
    "read_states",
    "sentence_cloud",
    "sum_by_word",
    "trace",
    "vector_at",
]
