"""A recipe that runs through all stages in seconds, and the text that it names."""

import json
from pathlib import Path

from tiny import ENGLISH, TURKISH

SIZE = 20
RECIPE = """
name = "whole"
[base]
tokenizer = "{base}"
model = "{base}"
[corpus]
sources = ["{text}"]
replay = ["{english}"]
instructions = ["{chats}"]
word_lists = []
held_out = 0.2
[vocabulary]
size = {size}
min_count = 2
languages = {{}}
[extension]
init = "hybrid"
[training]
steps = 4
instruction_share = 0.3
source_weights = {{ "{text}" = 1 }}
batch_size = 2
gradient_accumulation = 1
sequence_length = 32
precision = "fp32"
activation_checkpointing = false
evaluate_steps = 2
evaluate_bytes = 400
log_steps = 1
[training.dora]
rank = 2
[evaluation]
context = 64
bytes_per_text = 400
new_tokens = 4
prompts = ["Sabah"]
samples = 2
sample_tokens = 4
speed_passages = 2
speed_characters = 40
resamples = 20
"""


def write_whole_recipe(root: Path, base: Path) -> None:
    """Write whole.toml and its text into `root`; `base` is a tiny model."""
    # Numbered, so that no two documents are the same and a part of them is held out.
    turkish = [f"{number}. {line}" for number in range(8) for line in TURKISH]
    english = [f"{number}. {line}" for number in range(8) for line in ENGLISH]
    (root / "turkish.txt").write_text("\n".join(turkish), encoding="utf-8")
    (root / "english.txt").write_text("\n".join(english), encoding="utf-8")
    chats = ({"instruction": "Devam et.", "input": line, "output": f"{line} Sonra"} for line in TURKISH)
    (root / "chats.jsonl").write_text("\n".join(map(json.dumps, chats)), encoding="utf-8")
    texts = {"text": root / "turkish.txt", "english": root / "english.txt", "chats": root / "chats.jsonl"}
    recipe = RECIPE.format(base=base, size=SIZE, **texts)
    (root / "whole.toml").write_text(recipe, encoding="utf-8")
