"""How far a model has moved from its base where both read the same tokens.

On text that holds no new token, base and model read the same ids, so their predictions can be compared
position by position. With p the base's distribution over its tokens and q the model's over all of its own,

    KL = sum over base tokens of p (ln p - ln q'),   q' = q / (1 - m),   m = q's mass on the new tokens,

so KL, which is what was lost of the old knowledge, is separate from m, which went to the new tokens. The
plain divergence KL(p || q) is KL - ln(1 - m). The base's last hidden states and output embeddings are kept,
not its logits, so one model is in memory at a time. Logits exist for one chunk of positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ekle.artifacts.evaluation_report import TextDivergence
from ekle.errors import CheckpointError
from ekle.evaluation.texts import sample_documents
from ekle.evaluation.trust.intervals import clustered, ratio
from ekle.model.encoding import encode, prefix_token_id
from ekle.model.layers.loss import chunk_size
from ekle.model.scoring.batches import in_batches
from ekle.progress import ProgressReporter
from ekle.recipe.evaluation import EvaluationSettings

_BLOCK = 16_384  # embedding rows that become float32 at a time: 268 MB at a width of 4,096


@dataclass(frozen=True)
class DivergenceSums:
    """Sums over the positions of a text, one entry per document."""

    kl: list[float]
    """Nats."""
    new_mass: list[float]
    """Probability of new tokens."""
    same: list[float]
    """Positions at which both find the same base token most probable."""
    positions: list[int]
    left_out: int
    """Documents that the two tokenizers split differently."""


Divergences = dict[str, DivergenceSums]
"""By text."""


@dataclass(frozen=True)
class DocumentStates:
    """A text as the base reads it: ids with the BOS or prefix token (n,), last hidden states (n, D)."""

    text: str
    ids: list[int]
    states: Tensor


@dataclass(frozen=True)
class BaseStates:
    """What is kept of the base."""

    head: Tensor
    """Its output embeddings (V, D)."""
    documents: dict[str, list[DocumentStates]]


def collect_base_states(
    model: Any, tokenizer: Any, texts: Mapping[str, Sequence[str]], settings: EvaluationSettings
) -> BaseStates:
    """Let the base read a sample of each text, each document up to `evaluation.context` tokens."""
    read: dict[str, list[DocumentStates]] = {}
    for name, documents in texts.items():
        chosen = sample_documents(documents, settings.divergence_bytes, settings.seed)
        ids = [_ids(tokenizer, text, settings.context) for text in chosen]
        states = in_batches(ids, settings.batch_size, partial(_states, model), "evaluation.context")
        read[name] = [DocumentStates(*parts) for parts in zip(chosen, ids, states, strict=True)]
    return BaseStates(model.get_output_embeddings().weight.detach().cpu(), read)


def measure_divergence(
    reference: BaseStates,
    model: Any,
    tokenizer: Any,
    settings: EvaluationSettings,
    reporter: ProgressReporter,
) -> Divergences:
    """Let a model read what the base has read, where both tokenize it alike.

    Returns:
        The sums; none for a model with fewer embeddings than the base, which has lost tokens.

    Raises:
        DeviceMemoryError: the device has no memory for the logits of one position.
        CheckpointError: the model's predictions are no numbers.
    """
    head = model.get_output_embeddings().weight.detach()
    if len(head) < len(reference.head):
        return {}
    try:
        base_head = reference.head.to(model.device)
    except torch.OutOfMemoryError:  # the GPU does not hold the embeddings of both: the CPU multiplies
        base_head, head = reference.head, head.cpu()
    found: Divergences = {}
    with reporter.task("divergence", total=len(reference.documents), unit="texts") as task:
        for name, documents in reference.documents.items():
            alike = [one for one in documents if one.ids == _ids(tokenizer, one.text, settings.context)]
            ids = [one.ids for one in alike]
            states = in_batches(ids, settings.batch_size, partial(_states, model), "evaluation.context")
            sums = [
                _sums(one.states.to(head.device), base_head, own.to(head.device), head)
                for one, own in zip(alike, states, strict=True)
            ]
            columns = zip(*sums, strict=True) if sums else ((), (), ())
            kl, new_mass, same = (list(column) for column in columns)
            if not all(map(np.isfinite, kl)):
                raise CheckpointError(
                    "the model's predictions are no numbers; its weights hold NaN or infinity"
                )
            positions = [len(one.ids) for one in alike]
            found[name] = DivergenceSums(kl, new_mass, same, positions, len(documents) - len(alike))
            task.advance(1, name)
    return found


def compare_divergence(
    found: Mapping[str, Divergences], settings: EvaluationSettings
) -> dict[str, dict[str, TextDivergence]]:
    """The figures by model, by text, with intervals over documents; a text that is split differently
    throughout is absent."""
    resamples, seed = settings.resamples, settings.seed
    figures = {
        model: {
            name: TextDivergence(
                kl=ratio(sums.kl, sums.positions, resamples, seed),
                new_mass=ratio(sums.new_mass, sums.positions, resamples, seed),
                same_top_token=clustered(sums.same, sums.positions, resamples, seed),
                tokens=sum(sums.positions),
                documents=len(sums.positions),
                left_out=sums.left_out,
            )
            for name, sums in by_text.items()
            if sums.positions
        }
        for model, by_text in found.items()
    }
    return {model: by_text for model, by_text in figures.items() if by_text}


def _sums(base_states: Tensor, base_head: Tensor, states: Tensor, head: Tensor) -> tuple[float, float, float]:
    """Divergence, mass on new tokens and equal top tokens, summed over the positions of a document."""

    def work(places: Sequence[int]) -> list[tuple[float, float, float]]:
        at = slice(places[0], places[-1] + 1)
        parts = compare_positions(base_states[at], base_head, states[at], head)
        return list(zip(*(part.tolist() for part in parts), strict=True))

    chunk = chunk_size(len(head), states.device)
    with torch.inference_mode():
        found = list(in_batches(range(len(states)), chunk, work, "evaluation.divergence_bytes"))
    kl, mass, same = (sum(column) for column in zip(*found, strict=True))
    return kl, mass, same


def compare_positions(
    base_states: Tensor, base_head: Tensor, states: Tensor, head: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Divergence in nats, mass on new tokens, and whether the top base token is the same, each (n,).

    Args:
        base_states, states: last hidden states (n, D) of base and model at the same positions.
        base_head, head: output embeddings (V, D) and (V + new, D).
    """
    rows = len(base_head)
    # The base tokens have a product of their own: equal states then give exactly 0.
    p, _ = _distribution(_logits(base_states, base_head))
    q, old = _distribution(_logits(states, head[:rows]))
    kl = (p.exp() * (p - q)).sum(dim=1, dtype=torch.float64)
    new = _logits(states, head[rows:]).logsumexp(dim=1)  # minus infinity where there are none
    return kl, torch.sigmoid(new - old), (p.argmax(dim=1) == q.argmax(dim=1)).float()


def _logits(states: Tensor, head: Tensor) -> Tensor:
    """Hidden states times output embeddings, (n, V), in float32 also where both are in bfloat16.

    A product in bfloat16 has eight bits. Logits between 16 and 32 would move in steps of 1/8, which is more
    than training moves most of them. The embeddings become float32 block by block.
    """
    states = states.float()
    logits = states.new_empty(len(states), len(head))
    for first in range(0, len(head), _BLOCK):
        block = head[first : first + _BLOCK].float()
        torch.mm(states, block.T, out=logits[:, first : first + _BLOCK])
    return logits


def _distribution(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (n, V), and what was subtracted from the logits (n,)."""
    norm = logits.logsumexp(dim=1)
    return logits - norm[:, None], norm


def _states(model: Any, sequences: Sequence[list[int]]) -> list[Tensor]:
    """The last hidden states (n, D) of each sequence, on the CPU."""
    ids = pad_sequence([torch.tensor(one) for one in sequences], batch_first=True).to(model.device)
    lengths = torch.tensor([len(one) for one in sequences], device=ids.device)
    # Padding is on the right, where causal attention cannot see it.
    mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    with torch.inference_mode():
        states = model.get_decoder()(
            input_ids=ids, attention_mask=mask.long(), use_cache=False
        ).last_hidden_state
    return [state[: len(one)].cpu() for state, one in zip(states, sequences, strict=True)]


def _ids(tokenizer: Any, text: str, context: int) -> list[int]:
    return [prefix_token_id(tokenizer), *encode(tokenizer, text)][:context]
