"""Stage 2 of the guide: give Qwen3-8B embedding rows for the tokens that stage 1 learned.

This is `ekle extend`; every option of that command works here, `--help` lists them. Without options it
takes what `qwen3_turkish_vocab_creator.py` wrote.
"""

import sys

from ekle.cli import main

DEFAULTS = ["--vocab", "turkish_vocabulary", "--base", "Qwen/Qwen3-8B", "--out", "qwen3_turkish_extended"]

if __name__ == "__main__":
    sys.exit(main(["extend", *(sys.argv[1:] or DEFAULTS)]))
