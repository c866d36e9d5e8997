"""A benchmark's row in a process of its own, so that its peak memory and its threads are its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = str(Path(__file__).parents[1])


def last_line(module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """The last line that `python -m module` prints; where it fails, its messages end this process, too.

    Args:
        module: as in `benchmarks.dora`.
        arguments: of its command line.
        environment: variables of the process; this one's if not given.
    """
    given = os.environ if environment is None else environment
    path = os.pathsep.join([_ROOT, *filter(None, [given.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**given, "PYTHONPATH": path},
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.splitlines()[-1]
