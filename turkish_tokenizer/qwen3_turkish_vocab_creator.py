"""Stage 1 of the guide: learn 20,000 Turkish tokens by its five quotas.

This is `ekle vocab --strategy guide`; every option of that command works here, `--help` lists them.
Without options it learns from the text and the word list that come with ekle.
"""

import sys

from ekle.cli import main

DEFAULTS = ["--corpus", "bundled:tr", "--out", "turkish_vocabulary"]

if __name__ == "__main__":
    sys.exit(main(["vocab", "--strategy", "guide", *(sys.argv[1:] or DEFAULTS)]))
