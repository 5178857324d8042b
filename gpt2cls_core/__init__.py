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

from .ablation import (
    ablate_direction,
    ablate_each_head,
    ablate_head,
    ablate_mlp,
    punctuation_positions,
    sentiment_directions,
)
from .answer import Answer, answer
from .attribution import Attribution, agreement, integrated_gradients
from .base import LanguageModel, States, load_base, read_states
from .cells import vector_at
from .classifier import Classifier, Encoding, bundled_folder, bundled_names, load_classifier
from .cloud import SentenceCloud, cloud_sentences, sentence_cloud
from .effect import InterventionEffect
from .errors import DataError, Gpt2clsError, ModelError, OptionError, TextError
from .faithfulness import Faithfulness, faithfulness
from .frozen_features import FrozenFeatures, load_features
from .geometry import GeometryComparison, NearestWords, compare_geometry, nearest_words
from .input_traps import context_overrun, final_punctuation
from .interventions import cut_attention, cut_each, cut_each_steps, read_out_at, read_out_changes
from .ledger import Ledger, Term, margin_ledger
from .lens import LensGrid, NextTokenLens, class_lens, next_token_lens, probe_lens
from .live_head import LiveHead, judge, train_head
from .patching import PatchGrid, check_pair, patch_grid, patch_grid_rows, patch_states, swap_word
from .predict import HeadProducts, Prediction, head_products, predict, predict_batch
from .probes import LensProbes, load_lens_probes
from .referee import Contest, put_on_trial, referee
from .regimes import RegimeReading, read_regimes
from .rollout import GradientRollout, Rollout, attention_rollout, gradient_weighted_rollout
from .scoring import token_scores
from .trace import Trace, trace
from .trap_result import Trap
from .traps import batch_pooling, embeddings_as_input, left_padding, right_padding, typed_pad
from .words import Word, sum_by_word

__all__ = [
    "Answer",
    "Attribution",
    "Classifier",
    "Contest",
    "DataError",
    "Encoding",
    "Faithfulness",
    "FrozenFeatures",
    "GeometryComparison",
    "Gpt2clsError",
    "GradientRollout",
    "HeadProducts",
    "InterventionEffect",
    "LanguageModel",
    "Ledger",
    "LensGrid",
    "LensProbes",
    "LiveHead",
    "ModelError",
    "NearestWords",
    "NextTokenLens",
    "OptionError",
    "PatchGrid",
    "Prediction",
    "RegimeReading",
    "Rollout",
    "SentenceCloud",
    "States",
    "Term",
    "TextError",
    "Trace",
    "Trap",
    "Word",
    "ablate_direction",
    "ablate_each_head",
    "ablate_head",
    "ablate_mlp",
    "agreement",
    "answer",
    "attention_rollout",
    "batch_pooling",
    "bundled_folder",
    "bundled_names",
    "check_pair",
    "class_lens",
    "cloud_sentences",
    "compare_geometry",
    "context_overrun",
    "cut_attention",
    "cut_each",
    "cut_each_steps",
    "embeddings_as_input",
    "faithfulness",
    "final_punctuation",
    "gradient_weighted_rollout",
    "head_products",
    "integrated_gradients",
    "judge",
    "left_padding",
    "load_base",
    "load_classifier",
    "load_features",
    "load_lens_probes",
    "margin_ledger",
    "nearest_words",
    "next_token_lens",
    "patch_grid",
    "patch_grid_rows",
    "patch_states",
    "predict",
    "predict_batch",
    "probe_lens",
    "punctuation_positions",
    "put_on_trial",
    "read_out_at",
    "read_out_changes",
    "read_regimes",
    "read_states",
    "referee",
    "right_padding",
    "sentence_cloud",
    "sentiment_directions",
    "sum_by_word",
    "swap_word",
    "token_scores",
    "trace",
    "train_head",
    "typed_pad",
    "vector_at",
]
