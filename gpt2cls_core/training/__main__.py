"""The commands of training: `python -m gpt2cls_core.training pretrain | finetune | ship | probes | evaluate | …`."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from ..errors import Gpt2clsError
from .command_line import add_arguments
from .options import (
    EvaluateOptions,
    ExplanationsOptions,
    FeaturesOptions,
    FinetuneOptions,
    InterventionsOptions,
    LabelMapOptions,
    PretrainOptions,
    ProbesOptions,
    RegimesOptions,
    ShipOptions,
)

_INTRODUCTION = """\
From raw text to a measured classifier, in five commands that follow one another, and what a page and a study need beside:

  pretrain       raw text                 -> a small GPT-2 that predicts the next token
  finetune       that GPT-2, labelled text -> a classifier that reads its verdict at the last token
  ship           a finished model         -> small files that the app loads
  probes         a shipped classifier     -> a linear reading of each of its layers, beside the weights
  evaluate       shipped classifiers      -> accuracy beside baselines, in results.json
  interventions  a shipped classifier     -> its accuracy while it is changed as it runs, in results.json
  explanations   a shipped classifier     -> how well explanations predict what it does, in results.json
  regimes        that GPT-2, labelled text -> what it matters which weights are trained, in results.json
  label-map      that GPT-2, a classifier -> where in either the label can be read off, in results.json
  features       that GPT-2, labelled text -> its vectors, on which the page trains a head in a second

A source of data is a name on the Hugging Face Hub (stanfordnlp/imdb) or a folder with one parquet file per split and
the columns text (or sentence) and label (0 = negative, 1 = positive). A command that was killed goes on where it was
when it is given again. All of them also run under: accelerate launch -m gpt2cls_core.training COMMAND ...
"""

COMMANDS = {
    "pretrain": (PretrainOptions, "learn to predict the next token", """\
Trains a byte-level BPE tokenizer and a small GPT-2 on raw text, labels unseen. About ten times on the way it measures
the loss on held-out text and how well a linear probe reads sentiment from the last token's vector.

In:   texts (--data) and SST-2 for the probe (--probe-data)
Out:  OUTPUT/model (weights and tokenizer), OUTPUT/curve.json (the measurements), OUTPUT/checkpoints (to resume)

Example:
  python -m gpt2cls_core.training pretrain --data stanfordnlp/imdb:train stanfordnlp/imdb:unsupervised \\
      --probe-data stanfordnlp/sst2 --output runs/base
"""),
    "finetune": (FinetuneOptions, "learn negative and positive from labelled texts", """\
Puts a linear head with two rows on the last token's vector of a pre-trained GPT-2 and trains on labelled texts: all of
the weights, or only those that --regime names. Of each train split 5 % (800 texts at most) are held out, to choose by;
other splits are not read.

In:   a base model (--base) and labelled sources (--data), SOURCE:2 meaning two passes over it
Out:  OUTPUT/model (weights and tokenizer; with --regime head, last-block, lora or prompt what changed of the base),
OUTPUT/curve.json (held-out accuracy), OUTPUT/finetune.json (options, result)

Example:
  python -m gpt2cls_core.training finetune --base runs/base/model --data stanfordnlp/sst2:2 stanfordnlp/imdb \\
      --output runs/full
  python -m gpt2cls_core.training finetune --base assets/models/base --regime lora --data stanfordnlp/sst2:2 \\
      --output runs/lora
  python -m gpt2cls_core.training finetune --base openai-community/gpt2 --learning-rate 5e-5 --data stanfordnlp/sst2 \\
      --output runs/gpt2
"""),
    "ship": (ShipOptions, "pack a finished model for the app", """\
Writes weights in 16 bits, in files small enough for a git repository, with tokenizer and a card that says what it is.
Of a classifier that is kept as what changed of its base, that is written, and checked against the shipped base.

In:   the model/ folder of pretrain or finetune (--model)
Out:  TO/NAME, replaced in one move

Example:
  python -m gpt2cls_core.training ship --model runs/full/model --name full
"""),
    "probes": (ProbesOptions, "teach a linear probe to read each layer", """\
Fits one logistic regression per layer on the vectors of last tokens, and measures on held-out sentences how often each
layer's probe is right and how often the head is when it reads that layer. The page's lens uses both. Give it after
every ship, which replaces the folder: probes fit only the classifier that they were trained for.

In:   a shipped classifier (--model), SST-2 (--data)
Out:  MODEL/probes.safetensors, and accuracies per layer in the results file (--results)

Example:
  python -m gpt2cls_core.training probes --model assets/models/full --data stanfordnlp/sst2 \\
      --results assets/results.json
"""),
    "evaluate": (EvaluateOptions, "measure classifiers and baselines", """\
Measures accuracy with its 95 % interval (Wilson), beside the majority class and bags of words trained on the same train
splits, and merges the numbers into a results file. Can also take up the curve of a pre-training run (--pretraining).

In:   classifiers (--model), labelled splits (--data)
Out:  the results file (--results)

Example:
  python -m gpt2cls_core.training evaluate --model assets/models/full --data stanfordnlp/sst2:validation \\
      stanfordnlp/imdb:test --pretraining runs/base --results assets/results.json
"""),
    "interventions": (InterventionsOptions, "measure what cutting, ablating and reading elsewhere do to accuracy", """\
Changes the running model and counts what becomes of its verdicts, each number with its 95 % interval and its control:
the last position cut off from all others, the head reading another token or a prefix, the direction of sentiment taken
out at punctuation, single tokens cut by every route or by direct edges alone. Nothing is trained. For the direction to
be that of the probes too, give it after probes.

In:   a classifier with two classes (--model), SST-2 (--data), whose validation split is measured on
Out:  interventions in the results file (--results)

Example:
  python -m gpt2cls_core.training interventions --model assets/models/full --data stanfordnlp/sst2 \\
      --results assets/results.json
"""),
    "explanations": (ExplanationsOptions, "put explanations on trial: which of them predicts what the model does", """\
Takes tokens away in the order that each explanation gives them (integrated gradients, rollout, attention, ledger, occlusion,
…) and measures how the verdict's probability falls, beside random orders, by two ways of removing. Each number has its
95 % interval. With --shortcut also the test with a known answer: a classifier that one planted word decides.

In:   a classifier (--model), SST-2 (--data), whose validation split is measured on
Out:  OUTPUT/texts (one file per finished text, to resume), and explanations in the results file (--results)

Example:
  python -m gpt2cls_core.training explanations --model assets/models/full --data stanfordnlp/sst2 \\
      --shortcut assets/models/base --output runs/explanations --results assets/results.json
"""),
    "regimes": (RegimesOptions, "compare what is trained: head, last block, LoRA, soft prompt, everything", """\
Trains the same base on the same texts in several ways and measures each: a table over seeds, learning curves, and where
to read. Learning rate and passes are chosen for each regime by a small search on held-out slices of the train splits.
Every finished run is kept; a study that was stopped, by --minutes or by a kill, goes on when the command is given again.

In:   a base model (--base), labelled sources (--data), splits to measure on (--test)
Out:  OUTPUT/cells (one file per run), and regimes in the results file (--results)

Example:
  python -m gpt2cls_core.training regimes --base assets/models/base --data stanfordnlp/sst2 --minutes 60 \\
      --test stanfordnlp/sst2:validation stanfordnlp/imdb:test --output runs/regimes --results assets/results.json
  python -m gpt2cls_core.training regimes --base openai-community/gpt2 --data stanfordnlp/sst2 --seeds 1 \\
      --test stanfordnlp/sst2:validation --output runs/regimes-gpt2 --results runs/regimes-gpt2/results.json
"""),
    "label-map": (LabelMapOptions, "measure where the label can be read off, by layer and place in the text", """\
Fits a linear probe in every layer at five places of a sentence, from its first token to its last, on the base and on the
classifier that was made from it, and measures each on held-out sentences, beside a control with shuffled labels.

In:   a base model (--base), a classifier (--model), SST-2 (--data)
Out:  label_map in the results file (--results)

Example:
  python -m gpt2cls_core.training label-map --base assets/models/base --model assets/models/full \\
      --data stanfordnlp/sst2 --results assets/results.json
"""),
    "features": (FeaturesOptions, "pack vectors of the frozen base, to train a head on in the page", """\
Reads labelled texts with the frozen base and keeps its vectors after ln_f, in every layer, at the first, middle and last
token and as the mean, packed as int8 without their texts. They fit this base only: give it again after another is shipped.
It also says what the packing costs in accuracy.

In:   a base model (--base), SST-2 (--data)
Out:  OUTPUT, replaced in one move; one file per layer, and one for the labels

Example:
  python -m gpt2cls_core.training features --base assets/models/base --data stanfordnlp/sst2 --output assets/features
"""),
}  # fmt: skip
MODULES = {"probes": "lens_probes"}  # where a command's module has another name than the command


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser("gpt2cls_core.training", description=_INTRODUCTION, formatter_class=raw)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (options, summary, description) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=description, formatter_class=raw)
        add_arguments(command, options)
    return root


def options_of(arguments: argparse.Namespace) -> Any:  # noqa: ANN401 - of the class that the command names
    """The options that were given, as the command wants them."""
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in vars(arguments).items() if name != "command"}
    return COMMANDS[arguments.command][0](**given)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; our own errors are one clear line and status 2."""
    given = parser().parse_args(arguments)
    # Only now, because transformers and datasets take seconds to import and --help needs neither.
    name = given.command.replace("-", "_")
    module = importlib.import_module(f"{__package__}.{MODULES.get(name, name)}")
    run = getattr(module, name)
    try:
        print(f"Written: {run(options_of(given))}")
    except Gpt2clsError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
