"""Stage 3 of the guide: DoRA, NEFTune and Sophia with its settings.

This is `ekle train qwen3-8b-turkish`; give another recipe, or any option of that command (`--help`
lists them). It makes the stages before the training first where they are missing, and says which.
"""

import sys

from ekle.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *(sys.argv[1:] or ["qwen3-8b-turkish"])]))
