"""Opening a tokenizer, whatever the name of it means."""

from pathlib import Path

from tokenizers import Tokenizer

from ekle.bpe.base import load_base
from ekle.errors import TokenizerError


def load_tokenizer(name: Path | str) -> Tokenizer:
    """Open a tokenizer of any kind: a tokenizer.json, a folder or run folder with one, "qwen3" or a hub id.

    Raises:
        TokenizerError: the file is no tokenizer.
        InputError: there is nothing of that name.
    """
    path = Path(name)
    places = (
        path,
        path / "tokenizer.json",
        path / "tokenizer" / "tokenizer.json",
        path / "model" / "tokenizer.json",
    )
    for file in places:
        if file.is_file():
            try:
                return Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises plain Exception for every malformed file
                raise TokenizerError(f"{file} is no tokenizer: {error}") from error
    return load_base(str(name)).tokenizer()
