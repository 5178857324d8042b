"""What a judge reaches who reads no order: the yardsticks beside which a classifier's accuracy means something."""

from __future__ import annotations

from collections import Counter

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from .data import LabelledTexts

__all__ = ["bag_of_words", "majority"]


def majority(train: LabelledTexts, texts: list[str]) -> np.ndarray:
    """The commoner class of `train`, for every text [text]."""
    return np.full(len(texts), Counter(train.labels).most_common(1)[0][0])


def bag_of_words(train: LabelledTexts) -> Pipeline:
    """A fitted logistic regression on the TF-IDF of single words; its `predict` takes texts.

    It knows which words occur, not in which order: "not good, just bad" and "not bad, just good" are one text to it.
    """
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w[\w']*\b", dtype=np.float32)
    return make_pipeline(words, LogisticRegression(max_iter=1000)).fit(train.texts, train.labels)
