"""Stage 1 of the guide: learn 20,000 Turkish tokens by its five quotas.

This is `ekle vocab --strategy guide`; every option of that command works here, `--help` lists them.
Without options it learns from the text and the word list that come with ekle, which is little: tokens that
occur 40 times are enough there. With text of your own leave `vocabulary.min_count` alone.
"""

import sys

from ekle.cli import main

DEFAULTS = ["--corpus", "bundled:tr", "--set", "vocabulary.min_count=40", "--out", "turkish_vocabulary"]

if __name__ == "__main__":
    sys.exit(main(["vocab", "--strategy", "guide", *(sys.argv[1:] or DEFAULTS)]))
