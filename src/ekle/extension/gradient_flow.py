"""Whether the new rows can learn: a backward pass over the new tokens, and a look at every gradient."""

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

MAX_SEQUENCE_TOKENS = 1024
_LAYER_BYTES = 1_000_000_000
_ENDS = ("input", "output")


def check_gradient_flow(
    model: Path, tokens: Sequence[NewToken], count: int, reporter: ProgressReporter
) -> dict[str, Any]:
    """Run one backward pass over every new token, and check the gradients of new rows and base rows.

    The model reads sequences of at most 1,024 tokens: the base tokens of the first new token, then new tokens
    one after another, then the base tokens of the last. Each sequence is a batch by itself. Every new token
    in it is read, and is predicted among the tokens of the sequence. The model is in float32, with only the
    embedding rows that the batch uses, split as in training (`ekle.model.layers.new_rows`). It has no layers,
    which would cost most. A sample of `count` tokens also goes through the first layers: as many as fit one
    gigabyte, at least one. So a model of any size can be checked.

    Args:
        model: folder of the extended model.
        tokens: the new tokens.
        count: number of evenly spaced tokens that go through layers; from 1.
        reporter: receives progress.

    Returns:
        `tokens`, and for `input` and `output` (untied models) the `least` and `most` norm of a new row's
        gradient; the same for the tokens that went through layers as `through_layers`, with the number of
        `layers`.

    Raises:
        CheckpointError: a new row gets no gradient or one that is not finite, or a base row gets one.
    """
    config = load_config(model)
    longest = min(MAX_SEQUENCE_TOKENS, config.max_position_embeddings)
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
        f"Gradient flow: each of {len(tokens):,} new embeddings learns ({ends}), no base embedding does",
        **found,
    )
    return found


def evenly_spaced(tokens: Sequence[NewToken], count: int) -> Sequence[NewToken]:
    """`count` tokens at equal distances, or all tokens if there are fewer."""
    count = min(count, len(tokens))
    return [tokens[place * len(tokens) // count] for place in range(count)]


def _gradient_ranges(
    model: Any, weights: Weights, tokens: Sequence[NewToken], longest: int, task: Task
) -> dict[str, Any]:
    """Number of tokens, and the range of their gradient norms; raises as `check_gradient_flow`."""
    first_new_id = min(token.id for token in tokens)
    norms: dict[str, list[Tensor]] = {}
    for batch in _sequences(tokens, longest):
        used, ids = torch.unique(torch.tensor(batch), return_inverse=True)
        base_count = int((used < first_new_id).sum())
        _set_embeddings(model, weights, used)
        for end, norm in _gradients(weights.folder, model, ids, base_count).items():
            norms.setdefault(end, []).append(norm)
        task.advance(len(used) - base_count)
    return {"tokens": len(tokens), **{end: _range(torch.cat(parts)) for end, parts in norms.items()}}


def _sequences(tokens: Sequence[NewToken], longest: int) -> Iterator[list[int]]:
    """Sequences of at most `longest` + 1 tokens, or of one new token with its base tokens."""
    ids: list[int] = []
    last: list[int] = []
    for token in tokens:
        if ids and len(ids) + 1 + len(token.base_tokens) > longest + 1:
            yield [*ids, *last]
            ids = []
        if not ids:
            ids = list(token.base_tokens)
        ids.append(token.id)
        last = token.base_tokens
    yield [*ids, *last]


def _first_layers(config: Any, weights: Weights) -> Any:
    """The model with as many first layers as fit `_LAYER_BYTES`, frozen; its embeddings are set later."""
    layer_parameters = sum(
        torch.Size(weights.shape(name)).numel()
        for name in weights.names()
        if name.startswith("model.layers.0.")
    )
    layers = min(config.num_hidden_layers, max(1, _LAYER_BYTES // max(1, 4 * layer_parameters)))
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
    """Give the model the embedding rows `used` (R,) instead of those it has."""
    rows = weights.take(INPUT_EMBEDDINGS, used.tolist()).float()
    model.set_input_embeddings(nn.Embedding.from_pretrained(rows, freeze=False))
    head = nn.Linear(rows.shape[1], len(rows), bias=False, device="meta")
    if OUTPUT_EMBEDDINGS in weights.names():
        head.weight = nn.Parameter(weights.take(OUTPUT_EMBEDDINGS, used.tolist()).float())
    else:
        head.weight = model.get_input_embeddings().weight
    model.set_output_embeddings(head)


def _gradients(folder: Path, model: Any, ids: Tensor, base_count: int) -> dict[str, Tensor]:
    """Norms (new rows,) of the new rows' gradients by `input` and `output`, after one batch `ids` (T,).

    No parameter is frozen here except by `split_rows`, so the check covers that base rows get no gradient.
    """
    rows = split_rows(model, base_count)
    logits = model(ids[None, :-1]).logits[0]
    functional.cross_entropy(logits, ids[1:]).backward()
    ends = {"input": model.get_input_embeddings(), "output": model.get_output_embeddings()}
    if rows.tied:
        del ends["output"]
    norms: dict[str, Tensor] = {}
    for end, split in ends.items():
        if split.base.grad is not None and split.base.grad.any():
            count = int(split.base.grad.any(dim=1).sum())
            raise CheckpointError(f"{folder}: {count} {end} embeddings of the base got a gradient")
        norm = torch.zeros(len(split.new)) if split.new.grad is None else split.new.grad.norm(dim=1)
        dead = int((~torch.isfinite(norm) | (norm == 0)).sum())
        if dead:
            raise CheckpointError(
                f"{folder}: {dead} of {len(norm)} new {end} embeddings get no finite gradient; "
                "the base's weights cannot be trained"
            )
        norms[end] = norm
    return norms


def _range(norms: Tensor) -> dict[str, float]:
    """Smallest and largest norm, to four digits; further digits differ between machines."""
    return {"least": float(f"{norms.min():.3e}"), "most": float(f"{norms.max():.3e}")}
