"""The whole guide in one command, made for a Colab A100: vocabulary, extension, training, report, release.

This is `ekle run qwen3-8b-turkish`; give another recipe, or any option of that command (`--help` lists
them). After a lost session the same command resumes, if `--runs` is on a mounted drive.
"""

import sys

from ekle.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *(sys.argv[1:] or ["qwen3-8b-turkish"])]))
