"""Many texts from a file, explained into a file: see `explain` and ``python -m gpt2cls_core explain --help``."""
