"""Describe report.json anew: `python -m ekle.artifacts.evaluation_report docs` (`make report-docs`)."""

import sys
from pathlib import Path

from ekle.artifacts.evaluation_report.schema import keys_page, report_schema
from ekle.files import atomic_file, write_json

folder = Path(sys.argv[1])
write_json(folder / "report.schema.json", report_schema())
with atomic_file(folder / "report-keys.md") as page:
    page.write_text(keys_page(), encoding="utf-8")
