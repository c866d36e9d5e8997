"""`benchmarks/engine` runs from text to page, goes on where it was stopped, and explains every difference."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from project import ROOT

from ekle.recipe.load import load_recipe

sys.path.insert(0, str(ROOT))
