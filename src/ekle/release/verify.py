"""Whether a written model folder is what it says it is, found out without loading the model."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tokenizers import Tokenizer

from ekle.errors import PreservationError
from ekle.files import read_json
from ekle.model.architecture import implied_shapes
from ekle.model.weights import open_weights, read_config

_TOKENIZER_CLASS = "PreTrainedTokenizerFast"


def verify(model: Path, digests: Mapping[str, str], done: Callable[[], None]) -> None:
    """Compare the folder `model` with the digests of what was written, its config and its tokenizer.

    Names and shapes are held against the architecture that config.json asks for, built without memory
    for its weights.

    Raises:
        PreservationError: they differ.
        CheckpointError: config.json describes no model.
    """
    wanted = implied_shapes(model)
    with open_weights(model) as weights:
        found = {name: weights.shape(name) for name in weights.names()}
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        if differing:
            raise PreservationError(f"{model}: {differing[0]} is not as config.json describes the model")
        for name in weights.names():
            if weights.digest(name) != digests[name]:
                raise PreservationError(f"{model}: {name} was not written as it was; is the disk sound?")
            done()
    highest = max(Tokenizer.from_file(str(model / "tokenizer.json")).get_vocab().values())
    rows = read_config(model)["vocab_size"]
    if highest + 1 != rows:
        raise PreservationError(f"{model}: the highest id is {highest:,} but there are {rows:,} rows")
    name = read_json(model / "tokenizer_config.json").get("tokenizer_class")
    if name != _TOKENIZER_CLASS:
        raise PreservationError(f"{model}: the tokenizer's class is {name} and not {_TOKENIZER_CLASS}")
