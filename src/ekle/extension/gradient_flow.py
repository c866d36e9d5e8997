"""Whether the new rows can learn: a backward pass over text made of new tokens and their pieces."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM

from ekle.artifacts import NewToken
from ekle.errors import CheckpointError
from ekle.model.config import load_config
from ekle.model.rows import NewRows, split_rows
from ekle.model.weights import INPUT_ROWS, OUTPUT_ROWS, Weights, open_weights
from ekle.progress import Report

_LONGEST = 1024
_LAYER_BYTES = 1_000_000_000
_ENDS = ("input", "output")


def check_gradient_flow(
    model: Path, tokens: Sequence[NewToken], count: int, report: Report
) -> dict[str, Any]:
    """Let `count` new tokens, evenly spread, learn for one step and look at the gradients of their rows.

    In the text each new token is followed by its own base pieces; it is read in sequences of at most 1,024
    tokens, whose gradients add up. The model is the one in the folder `model` in float32 with the rows that
    this text uses and as many of its first layers as fit one gigabyte (at least one), so that a model of any
    size can be checked. Its rows are split as in training (`ekle.model.rows`).

    Returns:
        `tokens` and `layers` that were used, and for `input` and `output` the smallest and largest norm
        of a new row's gradient; `base_rows_with_gradient`, which is 0.

    Raises:
        CheckpointError: a new row gets no gradient or one that is not finite, or a base row gets one.
    """
    config = load_config(model)
    step = max(1, len(tokens) // count)
    spread = tokens[::step][:count]
    texts = list(_sequences(spread, min(_LONGEST, config.max_position_embeddings)))
    used, compact = torch.unique(torch.cat(texts), return_inverse=True)
    first = int((used < tokens[0].id).sum())
    with open_weights(model) as weights, torch.random.fork_rng(devices=[]):
        small = _first_layers(config, weights, used)
    rows = split_rows(small, first)
    learning = {id(parameter) for parameter in rows.parameters()}
    for parameter in small.parameters():
        parameter.requires_grad_(id(parameter) in learning)
    with report.task("checking the gradient flow", len(texts), "sequences") as task:
        for ids in compact.split([len(text) for text in texts]):
            logits = small(ids[None, :-1]).logits[0]
            functional.cross_entropy(logits, ids[1:]).backward()
            task.advance()
    base = sum(
        int((parameter.grad.norm(dim=-1) > 0).sum())
        for parameter in small.parameters()
        if parameter.grad is not None and id(parameter) not in learning
    )
    if base:
        raise CheckpointError(f"{model}: {base} frozen rows got a gradient")
    found = {
        "tokens": len(spread),
        "layers": small.config.num_hidden_layers,
        **_norms(model, rows),
        "base_rows_with_gradient": base,
    }
    ends = ", ".join(
        f"{end} {found[end]['least']:.1e} to {found[end]['most']:.1e}" for end in _ENDS if end in found
    )
    report.say(f"Gradient flow: each of {len(spread):,} new rows learns ({ends}), no base row does", **found)
    return found


def _sequences(tokens: Sequence[NewToken], longest: int) -> Iterator[Tensor]:
    """The text: a new token, its pieces, the next token; each sequence gives every new token in it a task."""
    ids = list(tokens[0].base_pieces)  # the first new token is to be predicted, too
    for token in tokens:
        if len(ids) + 1 + len(token.base_pieces) > longest + 1:
            yield torch.tensor(ids)
            ids = list(token.base_pieces)
        ids += [token.id, *token.base_pieces]
    yield torch.tensor(ids)


def _first_layers(config: Any, weights: Weights, used: Tensor) -> Any:
    """The model with the rows `used` only, and no more layers than fit the memory."""
    numbers = sum(
        torch.Size(weights.shape(name)).numel()
        for name in weights.names()
        if name.startswith("model.layers.0.")
    )
    layers = min(config.num_hidden_layers, max(1, _LAYER_BYTES // max(1, 4 * numbers)))
    config.vocab_size, config.num_hidden_layers = len(used), int(layers)
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in (INPUT_ROWS, OUTPUT_ROWS):
                parameter.copy_(weights.take(name, used.tolist()))
            else:
                parameter.copy_(weights.read(name))
    return model


def _norms(model: Path, rows: NewRows) -> dict[str, dict[str, float]]:
    """Smallest and largest gradient of a new row at either end."""
    ends = {"input": rows.input} if rows.tied else {"input": rows.input, "output": rows.output}
    found: dict[str, dict[str, float]] = {}
    for end, parameter in ends.items():
        norms = torch.zeros(1) if parameter.grad is None else parameter.grad.norm(dim=-1)
        dead = int((~torch.isfinite(norms) | (norms == 0)).sum())
        if dead:
            raise CheckpointError(
                f"{model}: {dead} of {len(norms)} new {end} rows get no finite gradient; "
                "the base's weights cannot be trained"
            )
        # Four digits: the rest differs between machines.
        found[end] = {"least": float(f"{norms.min():.3e}"), "most": float(f"{norms.max():.3e}")}
    return found
