"""The shape of a model: all that memory and time depend on, without its weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from ekle.bpe.base import load_base
from ekle.errors import CheckpointError, InputError
from ekle.files import read_json
from ekle.planning.tables import rows
from ekle.recipe import Recipe
from ekle.recipe.base import TinyModelSettings

_OWNER = "Qwen/"


@dataclass(frozen=True)
class ModelShape:
    """A decoder with the parts of Qwen3: grouped-query attention with normed queries and keys, gated MLP."""

    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    head_dim: int
    intermediate: int
    rows: int
    """Rows of the base's embedding; new ones come on top."""
    tied: bool
    """Whether one matrix serves both ends of the model."""

    @property
    def queries(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together; that of the values too."""
        return self.key_value_heads * self.head_dim

    @property
    def embedding_matrices(self) -> int:
        """Matrices with a row a token."""
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
        """Numbers in the linear layers of all blocks."""
        return self.layers * sum(narrow * wide for narrow, wide in self.projections.values())

    @property
    def parameter_count(self) -> int:
        """Parameters of the base: rows, linear layers and the weights of the norms."""
        norms = self.layers * (2 * self.hidden + 2 * self.head_dim) + self.hidden
        return self.embedding_matrices * self.rows * self.hidden + self.linear_parameters + norms

    @property
    def config(self) -> dict[str, Any]:
        """The same in the words of a config.json."""
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

    A folder is asked for its config.json, the tiny model stands in the recipe, and a hub id is looked up
    in `data/shapes.tsv` before the hub is asked.

    Raises:
        InputError: there is no such folder, and the hub does not give the config.json of such an id.
        CheckpointError: config.json describes another kind of model.
        TokenizerError: the rows of the tiny model are those of a tokenizer that is not to be had.
    """
    name = recipe.base.model
    if name == "tiny":
        return tiny_shape(recipe.base.tiny, _rows_of(recipe))
    if Path(name).is_dir():
        return read_shape(Path(name) / "config.json")
    known = dict(_known())
    return known[name] if name in known else read_shape(_from_hub(name, recipe.base.revision))


def tiny_shape(tiny: TinyModelSettings, rows: int) -> ModelShape:
    """The shape of the stand-in that a recipe describes, over a tokenizer with so many rows."""
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
        InputError: the file is missing or no JSON.
        CheckpointError: it describes another kind of model.
    """
    config = read_json(path)
    try:
        return _from_config(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no model that ekle can plan for: {error}") from error


def known_models() -> list[str]:
    """Hub ids whose shape needs no hub."""
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
    """Rows for the recipe's base tokenizer; that of Qwen3 need not be read for it."""
    if recipe.base.tokenizer == "qwen3":
        return next(shape.rows for _, shape in _known())
    return load_base(recipe.base.tokenizer, recipe.base.revision).rows


def _known() -> Iterator[tuple[str, ModelShape]]:
    for row in rows("shapes"):
        parameter_count = {key: int(value) for key, value in row.items() if key not in ("models", "tied")}
        for model in row["models"].split():
            yield _OWNER + model, ModelShape(tied=row["tied"] == "yes", **parameter_count)


def _from_hub(name: str, revision: str | None) -> Path:
    """The config.json of a hub id, from the cache where it lies there."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"there is no model folder {name}; give tiny, a folder, or a hub id such as Qwen/Qwen3-8B"
        )
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision))
    except Exception as error:  # the hub client raises many unrelated types; each means "not to be had"
        raise InputError(
            f"the shape of {name} is not known and the hub did not give its config.json "
            f"({type(error).__name__}); without a hub ekle knows {', '.join(known_models())}"
        ) from error
