"""Folders of what both ablations share: the text, the base's tokenizer, the vocabulary, the bases."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablation.sizes import BaseName, SharedSettings


@dataclass(frozen=True)
class BaseFolders:
    """Folders under the working folder `work`; other shared settings are another folder."""

    work: Path
    name: str
    """Of the size."""
    shared: SharedSettings

    @property
    def folder(self) -> Path:
        """The one that holds the others."""
        return self.work / f"{self.name}-{self.shared.digest}"

    @property
    def text(self) -> Path:
        """Text to learn from and to measure on."""
        return self.folder / "text"

    @property
    def tokenizer(self) -> Path:
        """The base's tokenizer."""
        return self.folder / "tokenizer"

    @property
    def vocabulary(self) -> Path:
        """The new tokens."""
        return self.folder / "vocabulary"

    def base(self, name: BaseName) -> Path:
        """A base: its model, its tokenizer, its curve."""
        return self.folder / name

    def curve(self, name: BaseName) -> Path:
        """The file that is written when a base is trained."""
        return self.base(name) / "base.json"
