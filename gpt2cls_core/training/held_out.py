"""What a run is judged by while it lasts: accuracy on slices of the train splits that it does not learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .clock import clock
from .data import LabelledTexts
from .files import read_json, write_json
from .pooling import predict

__all__ = ["HeldOut"]


class HeldOut(TrainerCallback):
    """Accuracy on the held-out slices, a few times over the run, appended to ``curve.json``."""

    def __init__(
        self,
        path: Path,
        steps: set[int],
        parts: dict[str, LabelledTexts],
        tokenizer: PreTrainedTokenizerBase,
        *,
        read_out: str = "last",
    ) -> None:
        self.path, self.steps, self.parts, self.tokenizer, self.read_out = path, steps, parts, tokenizer, read_out
        self.seconds = 0.0  # that measuring took, which are none of training

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: nn.Module, **_: object
    ) -> None:
        """Measure where it is time to."""
        if state.global_step in self.steps and state.is_world_process_zero:
            self.add_point(model, state.global_step)

    def add_point(self, model: nn.Module, step: int) -> None:
        """Measure, and put the point behind those of earlier steps."""
        start = clock()
        point = {"step": step, "accuracy": self.measure(model)}
        before = [p for p in read_json(self.path, []) if p["step"] < step]
        write_json(self.path, [*before, point])
        print(f"\n{point}", flush=True)
        self.seconds += clock() - start

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Accuracy by source."""
        classifier = getattr(model, "module", model).model
        classifier.eval()
        accuracy = {}
        for name, part in self.parts.items():
            classes = predict(classifier, self.tokenizer, part.texts, read_out=self.read_out)
            accuracy[name] = round(float(np.mean(classes == part.labels)), 4)
        classifier.train()
        return accuracy
