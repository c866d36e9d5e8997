"""The files of a model folder beside its weights: which are part of the model, and which stay behind."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ekle.progress import ProgressReporter

_PART = frozenset({"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"})
_LICENCE = re.compile("licen[sc]e|copying|notice|use_policy", re.IGNORECASE | re.ASCII)
_REPLACED = frozenset(
    {
        "vocab.json",
        "merges.txt",
        "added_tokens.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "additional_chat_templates",
        "model.safetensors.index.json",
    }
)
"""What tokenizer.json, its settings and the new weights hold as well, or `write_templates` writes."""

ADAPTER = "adapter_config.json"
_NAMES = 8  # that a message holds


@dataclass(frozen=True)
class Companions:
    """What is beside the weights of a model folder.

    Attributes:
        part: files that belong to the model whatever becomes of its weights: settings, tokenizer, licence.
        left: names of the others, which may hold for the folder they were in and for no copy: the state of a
            trainer, an adapter, weights in another format, a page about the model. Folders end with "/".
    """

    part: list[Path]
    left: list[str]

    def report(self, folder: Path, reporter: ProgressReporter) -> None:
        """Say what stays behind in `folder`, and that an adapter there is not in the weights."""
        if not self.left:
            return
        named = ", ".join(self.left[:_NAMES])
        more = f" and {len(self.left) - _NAMES} more" if len(self.left) > _NAMES else ""
        reporter.say(
            f"Left behind in {folder}, as no part of the model: {named}{more}", left_behind=self.left
        )
        if ADAPTER in self.left:
            reporter.say(
                f"{folder} holds an adapter ({ADAPTER}) that is not merged into its weights, so the result "
                "is made without it; to have it in, merge it first with PEFT's merge_and_unload"
            )


def companions(folder: Path, weights: Collection[str], *, page: bool = False) -> Companions:
    """Sort what `folder` holds; hidden files, and what the copy replaces, are in neither list.

    Args:
        folder: a model folder.
        weights: names of the files that hold its weights.
        page: whether README.md goes along, because the copy is the model that it is about.
    """
    part: list[Path] = []
    left: list[str] = []
    for path in sorted(folder.iterdir()):
        name = path.name
        if name.startswith(".") or name in _REPLACED or name in weights:
            continue
        named = name in _PART or _LICENCE.match(name) or (page and name == "README.md")
        if path.is_file() and named:
            part.append(path)
        else:
            left.append(f"{name}/" if path.is_dir() else name)
    return Companions(part, left)
