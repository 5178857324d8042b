"""``python -m app``."""

from .main import main

main()
