"""What a straight line can read out of frozen last-token vectors.

A linear probe (Alain & Bengio 2016, arXiv:1610.01644) is a logistic regression on vectors that it did not help to make.
If it does well, the information lies in the vector in a form that one dot product can read.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import LabelledTexts

__all__ = ["probe_accuracy"]


def probe_accuracy(
    train_vectors: np.ndarray, train: LabelledTexts, test_vectors: np.ndarray, test: LabelledTexts
) -> float:
    """Accuracy on `test` of a logistic regression fitted on `train` (standardised inputs, C = 0.1)."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    probe.fit(train_vectors, train.labels)
    return float(np.mean(probe.predict(test_vectors) == np.asarray(test.labels)))
