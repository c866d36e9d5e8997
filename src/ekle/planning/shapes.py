"""The shape of a model: everything that memory and time depend on, without the weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from ekle.bpe.base import load_base
from ekle.errors import CheckpointError, InputError
from ekle.files import read_json, read_table
from ekle.recipe import Recipe
from ekle.recipe.base import TinyModelSettings

_OWNER = "Qwen/"


@dataclass(frozen=True)
class ModelShape:
    """A decoder like Qwen3's: grouped-query attention with normalised queries and keys, gated MLP."""

    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    head_dim: int
    intermediate: int
    rows: int
    """Embedding rows of the base, without the new ones."""
    tied: bool
    """Whether input and output embeddings are one matrix."""

    @property
    def queries(self) -> int:
        """Width of the queries of all heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of the keys of all heads together; the values have the same."""
        return self.key_value_heads * self.head_dim

    @property
    def embedding_matrices(self) -> int:
        """Number of embedding matrices: 1 if tied, else 2."""
        return 1 if self.tied else 2

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """(in, out) of the linear layers of one block, by name."""
        return {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters in the linear layers of all blocks."""
        return self.layers * sum(narrow * wide for narrow, wide in self.projections.values())

    @property
    def parameter_count(self) -> int:
        """Parameters of the base: embeddings, linear layers and the weights of the norms."""
        norms = self.layers * (2 * self.hidden + 2 * self.head_dim) + self.hidden
        return self.embedding_matrices * self.rows * self.hidden + self.linear_parameters + norms

    @property
    def config(self) -> dict[str, Any]:
        """The same with the keys of a config.json."""
        return {
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.intermediate,
            "vocab_size": self.rows,
            "tie_word_embeddings": self.tied,
        }


def shape_of(recipe: Recipe) -> ModelShape:
    """The shape of the recipe's base.

    For a folder it is read from its config.json, for the tiny model from the recipe. A hub id is looked up in
    `data/shapes.tsv` first and on the hub second.

    Raises:
        InputError: there is no such folder, and the hub gives no config.json for this id.
        CheckpointError: config.json describes another kind of model.
        TokenizerError: the tokenizer of the tiny model, which sets its number of rows, cannot be loaded.
    """
    name = recipe.base.model
    if name == "tiny":
        return tiny_shape(recipe.base.tiny, _rows_of(recipe))
    if Path(name).is_dir():
        return read_shape(Path(name) / "config.json")
    known = dict(_known())
    return known[name] if name in known else read_shape(_from_hub(name, recipe.base.revision))


def tiny_shape(tiny: TinyModelSettings, rows: int) -> ModelShape:
    """The shape of the tiny model that a recipe describes, with `rows` embedding rows."""
    return ModelShape(
        tiny.layers,
        tiny.hidden_size,
        tiny.heads,
        tiny.key_value_heads,
        tiny.head_dim,
        tiny.intermediate_size,
        rows,
        tiny.tied,
    )


def read_shape(path: Path) -> ModelShape:
    """The shape that a config.json describes.

    Raises:
        InputError: the file is missing or is not JSON.
        CheckpointError: it describes another kind of model.
    """
    config = read_json(path)
    try:
        return _from_config(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no model that ekle can plan for: {error}") from error


def known_models() -> list[str]:
    """Hub ids whose shape is known without the hub."""
    return [name for name, _ in _known()]


def _from_config(config: Mapping[str, Any]) -> ModelShape:
    if config.get("num_experts"):
        raise ValueError("a mixture of experts")
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    return ModelShape(
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        intermediate=int(config["intermediate_size"]),
        rows=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _rows_of(recipe: Recipe) -> int:
    """Embedding rows for the recipe's base tokenizer; for Qwen3's it need not be loaded."""
    if recipe.base.tokenizer == "qwen3":
        return next(shape.rows for _, shape in _known())
    return load_base(recipe.base.tokenizer, recipe.base.revision).rows


def _known() -> Iterator[tuple[str, ModelShape]]:
    for row in read_table("ekle.planning", "shapes"):
        sizes = {key: int(value) for key, value in row.items() if key not in ("models", "tied")}
        for model in row["models"].split():
            yield _OWNER + model, ModelShape(tied=row["tied"] == "yes", **sizes)


def _from_hub(name: str, revision: str | None) -> Path:
    """The config.json of a hub id, from the cache if it is there."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"there is no model folder {name}; give tiny, a folder, or a hub id such as Qwen/Qwen3-8B"
        )
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision))
    except Exception as error:  # the hub client raises many unrelated types; each means "not available"
        raise InputError(
            f"the shape of {name} is not known and its config.json could not be loaded from the hub "
            f"({type(error).__name__}); without the hub ekle knows {', '.join(known_models())}"
        ) from error
