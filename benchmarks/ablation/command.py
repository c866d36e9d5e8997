"""The command line that all ablations share."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ekle.errors import EkleError


def argument_parser(module: str, about: str, sizes: Sequence[str]) -> argparse.ArgumentParser:
    """The options that both have; each adds its own.

    Args:
        module: what is run with `python -m`.
        about: its docstring.
        sizes: names; `cpu` is the default.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of text")
    parser.add_argument("--out", type=Path, required=True, help="the page to write; its curves go next to it")
    parser.add_argument("--size", choices=sizes, default="cpu")
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="folder of finished work")
    parser.add_argument(
        "--page-only", action="store_true", help="write the page from finished work, train nothing"
    )
    return parser


def run(main: Callable[[], None]) -> None:
    """Run it without the hub; an input error ends it with one line."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        main()
    except EkleError as error:
        sys.exit(f"error: {error}")
