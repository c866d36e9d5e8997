"""Whether the new rows can learn: a backward pass over new tokens, and a look at every row's gradient."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM

from ekle.artifacts import NewToken
from ekle.errors import CheckpointError
from ekle.model.checkpoint.loading import load_config
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, Weights, open_weights
from ekle.model.layers.new_rows import split_rows
from ekle.progress import ProgressReporter, Task

_LONGEST = 1024
_LAYER_BYTES = 1_000_000_000
_ENDS = ("input", "output")


def check_gradient_flow(
    model: Path, tokens: Sequence[NewToken], count: int, reporter: ProgressReporter
) -> dict[str, Any]:
    """Let every new token learn for one step and look at the gradients of its rows and of the base's.

    Read are sequences of at most 1,024 tokens: the base pieces of the first new token, new tokens one after
    another, the pieces of the last. Each sequence is a batch by itself, in which every new token is read and
    has to be predicted among those of the sequence. The model is the one in the folder `model` in float32
    with the rows that the batch uses, split as in training (`ekle.model.layers.new_rows`), and without its
    layers, which cost most. `count` tokens go through as many of the first layers as fit one gigabyte (at
    least one), too. So a model of any size can be checked.

    Args:
        model: the extended model.
        tokens: the new tokens.
        count: how many of them, evenly spread, go through layers; from 1.
        reporter: hears of the progress.

    Returns:
        `tokens`, and for `input` and `output` (untied models) the smallest and largest norm of a new row's
        gradient; the same of those that went through layers as `through_layers`, with the number of `layers`.

    Raises:
        CheckpointError: a new row gets no gradient or one that is not finite, or a base row gets one.
    """
    config = load_config(model)
    longest = min(_LONGEST, config.max_position_embeddings)
    sample = evenly_spaced(tokens, count)
    with (
        open_weights(model) as weights,
        reporter.task("checking the gradient flow", len(sample) + len(tokens), "tokens") as task,
    ):
        with torch.random.fork_rng(devices=[]):
            small = _first_layers(config, weights)
        decoder = small.get_decoder()
        deep = {"layers": len(decoder.layers), **_gradient_ranges(small, weights, sample, longest, task)}
        decoder.layers = nn.ModuleList()
        found = _gradient_ranges(small, weights, tokens, longest, task)
    ends = ", ".join(
        f"{end} {found[end]['least']:.1e} to {found[end]['most']:.1e}" for end in _ENDS if end in found
    )
    found["through_layers"] = deep
    reporter.say(
        f"Gradient flow: each of {len(tokens):,} new rows learns ({ends}), no base row does", **found
    )
    return found


def evenly_spaced(tokens: Sequence[NewToken], count: int) -> Sequence[NewToken]:
    """`count` of the tokens, or all if there are fewer, at equal distances."""
    count = min(count, len(tokens))
    return [tokens[place * len(tokens) // count] for place in range(count)]


def _gradient_ranges(
    model: Any, weights: Weights, tokens: Sequence[NewToken], longest: int, task: Task
) -> dict[str, Any]:
    """How many tokens, and the range of their gradients at either end; raises as `check_gradient_flow`."""
    first = min(token.id for token in tokens)
    norms: dict[str, list[Tensor]] = {}
    for batch in _sequences(tokens, longest):
        used, ids = torch.unique(torch.tensor(batch), return_inverse=True)
        of_base = int((used < first).sum())
        _set_embeddings(model, weights, used)
        for end, norm in _gradients(weights.folder, model, ids, of_base).items():
            norms.setdefault(end, []).append(norm)
        task.advance(len(used) - of_base)
    return {"tokens": len(tokens), **{end: _range(torch.cat(parts)) for end, parts in norms.items()}}


def _sequences(tokens: Sequence[NewToken], longest: int) -> Iterator[list[int]]:
    """At most `longest` tokens to read and one more to predict, or one new token with its pieces."""
    ids: list[int] = []
    last: list[int] = []
    for token in tokens:
        if ids and len(ids) + 1 + len(token.base_pieces) > longest + 1:
            yield [*ids, *last]
            ids = []
        if not ids:
            ids = list(token.base_pieces)
        ids.append(token.id)
        last = token.base_pieces
    yield [*ids, *last]


def _first_layers(config: Any, weights: Weights) -> Any:
    """The model with no more layers than fit the memory, frozen, and with one row for the time being."""
    numbers = sum(
        torch.Size(weights.shape(name)).numel()
        for name in weights.names()
        if name.startswith("model.layers.0.")
    )
    layers = min(config.num_hidden_layers, max(1, _LAYER_BYTES // max(1, 4 * numbers)))
    config.vocab_size, config.num_hidden_layers = 1, int(layers)
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    model = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, trust_remote_code=False
    ).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name not in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS):
            parameter.copy_(weights.read(name))
    return model


def _set_embeddings(model: Any, weights: Weights, used: Tensor) -> None:
    """Give the model the rows `used` (R,), in place of those it has."""
    rows = weights.take(INPUT_EMBEDDINGS, used.tolist()).float()
    model.set_input_embeddings(nn.Embedding.from_pretrained(rows, freeze=False))
    head = nn.Linear(rows.shape[1], len(rows), bias=False, device="meta")
    if OUTPUT_EMBEDDINGS in weights.names():
        head.weight = nn.Parameter(weights.take(OUTPUT_EMBEDDINGS, used.tolist()).float())
    else:
        head.weight = model.get_input_embeddings().weight
    model.set_output_embeddings(head)


def _gradients(folder: Path, model: Any, ids: Tensor, first: int) -> dict[str, Tensor]:
    """Norms of the new rows' gradients, (new rows,), at either end after one batch `ids` (T,).

    Nothing is frozen here: whether the base rows stay as they are is what `split_rows` sees to.
    """
    rows = split_rows(model, first)
    logits = model(ids[None, :-1]).logits[0]
    functional.cross_entropy(logits, ids[1:]).backward()
    ends = {"input": model.get_input_embeddings(), "output": model.get_output_embeddings()}
    if rows.tied:
        del ends["output"]
    norms: dict[str, Tensor] = {}
    for end, split in ends.items():
        if split.base.grad is not None and split.base.grad.any():
            moved = int(split.base.grad.any(dim=1).sum())
            raise CheckpointError(f"{folder}: {moved} {end} rows of the base got a gradient")
        norm = torch.zeros(len(split.new)) if split.new.grad is None else split.new.grad.norm(dim=1)
        dead = int((~torch.isfinite(norm) | (norm == 0)).sum())
        if dead:
            raise CheckpointError(
                f"{folder}: {dead} of {len(norm)} new {end} rows get no finite gradient; "
                "the base's weights cannot be trained"
            )
        norms[end] = norm
    return norms


def _range(norms: Tensor) -> dict[str, float]:
    """Smallest and largest; four digits, as the rest differs between machines."""
    return {"least": float(f"{norms.min():.3e}"), "most": float(f"{norms.max():.3e}")}
