"""`python -m ekle` is `ekle`."""

import sys

from ekle.cli import main

sys.exit(main())
