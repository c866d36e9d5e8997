"""The rule `mapped`, from the text to the rows: evidence, closed form, learning."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.errors import TrainingError
from ekle.extension.rules.held_out import SEQUENCE_TOKENS, split_held_out
from ekle.extension.rules.mapped.closed_form import (
    Tokens,
    features,
    mapped_start,
    separating_direction,
    unit_direction,
)
from ekle.extension.rules.mapped.evidence import count_tokens, last_states, log_shares, readings
from ekle.extension.rules.mapped.learning import LearningState, MapLearner, learn
from ekle.extension.rules.mapped.maps import MappedRows
from ekle.extension.rules.packing import mixed, packed, packed_once
from ekle.extension.rules.saved_state import SavedState
from ekle.extension.rules.teacher_student import sums_of_bits
from ekle.extension.rules.text_sample import pages, sample_text
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
from ekle.model.layers.row_features import base_token_features, mean_of_base_tokens
from ekle.model.processes import Processes
from ekle.progress import ProgressReporter
from ekle.recipe.extension import MappedSettings

_LEAST_COUNT = 3
"""Occurrences that a base token needs to be an example; rarer ones have rows that say little."""
_STATES_TEXT = 48 * SEQUENCE_TOKENS
"""Tokens whose last states the direction of the prior is fitted to."""
_OTHER_NATS = 4.0
"""How much less likely the closed form makes new tokens in other languages, where the ends are not tied."""
_PRIOR = {"tied": 0.6, "untied": 1.0}
"""Weight of the prior in closed form. A tied row is read as well, and the direction of the prior means
nothing there; about half of it is enough."""


@dataclass(frozen=True)
class MappedInputs:
    """What the rule works with.

    Attributes:
        base_tokens: ids of the base tokens of each of the N new tokens.
        tokenizer_pair: base and extended tokenizer.
        prefix_token: id of the token before each text.
        documents: gives the user's texts.
        replay: gives texts in other languages; may give none.
        scale: root mean square of the base rows in use, by matrix; one matrix where the ends are tied.
        seed: of the sample and the order of the text.
    """

    base_tokens: Sequence[Sequence[int]]
    tokenizer_pair: TokenizerPair
    prefix_token: int
    documents: Callable[[], Iterator[str]]
    replay: Callable[[], Iterator[str]]
    scale: dict[str, float]
    seed: int


def mapped_rows(
    model: Any,
    inputs: MappedInputs,
    settings: MappedSettings,
    scratch: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """New rows (N, D) in float32 by the name of their matrix, and what is recorded about them.

    In closed form, a row is the linear map of features of its token that fits base tokens best which are
    taken as if they were new (`ekle.extension.rules.mapped.closed_form`), and a prior: how often the first
    base token goes on to just this token, written as a bias. Then the maps learn by the loss of the next
    token, through the frozen base (`ekle.extension.rules.mapped.learning`). Hypernetworks for embeddings
    are from Minixhofer, Ponti and Vulić (2024, "Zero-Shot Tokenizer Transfer"); this one is linear, and is
    fitted to one base.

    Args:
        model: the base, frozen, on its device.
        inputs: tokens and text.
        settings: sizes and budget.
        scratch: folder of evidence and state; a killed run goes on from there.
        processes: who takes part in the learning.
        reporter: receives progress.

    Raises:
        TrainingError: there is too little text, no new token occurs in it, or the loss is not finite.
        SpaceError: the disk is full.
    """
    text = _Text.of(inputs, settings, reporter)
    started = time.monotonic()
    evidence = _evidence(model, inputs, text, settings, scratch, processes, reporter)
    maps = closed_form_maps(model, inputs, evidence, settings)
    learner = MapLearner(model, maps, inputs.prefix_token, settings, processes)
    closed_form_seconds = time.monotonic() - started
    encode_base, encode_new = inputs.tokenizer_pair.base_ids, inputs.tokenizer_pair.new_ids
    held_out = packed_once(text.held_out, encode_new, inputs.prefix_token, SEQUENCE_TOKENS)
    base = learner.bits_per_byte(
        *packed_once(text.held_out, encode_base, inputs.prefix_token, SEQUENCE_TOKENS), None
    )
    rows = learner.rows()
    closed_form = learner.bits_per_byte(*held_out, rows)
    reporter.say(
        f"in closed form: {closed_form:.4f} bits per byte on text held out; the base {base:.4f}",
        base=base,
        closed_form=closed_form,
    )
    about: dict[str, Any] = {
        "base_bits_per_byte": round(base, 5),
        "closed_form_bits_per_byte": round(closed_form, 5),
        "closed_form_seconds": round(closed_form_seconds, 1),
        "features": {name: rows.features for name, rows in maps.items()},
        "evidence_tokens": evidence.tokens_read(inputs, settings),
        "text": {"bytes": text.bytes, "held_out_bytes": held_out[1]},
    }
    if not (settings.minutes if settings.tokens is None else settings.tokens):
        reporter.say("the budget is 0: the new rows stay those of the closed form")
    else:
        sequences = mixed(
            packed(text.learned, encode_new, inputs.prefix_token, SEQUENCE_TOKENS, inputs.seed),
            packed(text.replay, encode_new, inputs.prefix_token, SEQUENCE_TOKENS, inputs.seed + 1)
            if text.replay
            else None,
            settings.replay_share,
        )
        state = LearningState(
            scratch, _fingerprint(evidence.fingerprint, settings.model_dump(exclude={"save_minutes"}))
        )
        rows, progress = learn(learner, sequences, held_out, settings, state, processes, reporter)
        about |= {
            "steps": progress.step,
            "tokens": progress.tokens,
            "seconds": round(progress.seconds, 1),
            "rows_from_step": progress.best_step,
            "bits_per_byte": round(progress.best, 5),
            "curve": progress.curve,
        }
    if text.replay_held_out:
        about["replay"] = _replay_figures(learner, inputs, text.replay_held_out, rows)
    return {name: table.float().cpu() for name, table in rows.items()}, {"mapped": about}


@dataclass(frozen=True)
class _Text:
    """A sample of the user's text, and of text in other languages; the smaller parts decide what is kept."""

    learned: list[str]
    held_out: list[str]
    replay: list[str]
    replay_held_out: list[str]

    @classmethod
    def of(cls, inputs: MappedInputs, settings: MappedSettings, reporter: ProgressReporter) -> "_Text":
        with reporter.task("sampling the text", 1, "") as task:
            own = sample_text(inputs.documents(), settings.text_bytes, inputs.seed)
            other = (
                sample_text(inputs.replay(), settings.text_bytes, inputs.seed)
                if settings.replay_share
                else []
            )
            task.advance()
        if settings.replay_share and not other:
            reporter.say(
                "there is no text in other languages (--replay, or corpus.replay in a recipe), so nothing "
                "keeps the new tokens out of them"
            )
        if len(own) < 2:
            raise TrainingError(
                "the rule mapped learns from text; give it more than one document (--corpus, or "
                "corpus.sources in a recipe)"
            )
        held_out, learned = split_held_out(own, settings.held_out_bytes)
        replay_held_out, replay = split_held_out(other, settings.held_out_bytes // 2)
        return cls(pages(learned), pages(held_out), pages(replay), pages(replay_held_out))

    @property
    def bytes(self) -> int:
        """Bytes of what is learned from, in the language to learn."""
        return sum(len(text.encode()) for text in self.learned)


@dataclass(frozen=True)
class Evidence:
    """What the base says about the new tokens, and about the known ones that serve as examples.

    Attributes:
        log_shares: (N,), see `ekle.extension.rules.mapped.evidence.log_shares`.
        readings: (depths, N, D) of the new tokens.
        example_ids: (n,) base tokens that are taken as if they were new.
        example_parts: (n, 2) the two base tokens that each consists of.
        example_readings: (depths, n, D).
        direction: (D,) what a bias is written with.
        other: (D,) what a bias in text of other languages alone is written with; zeros without such text.
        fingerprint: identifies what all this was found from.
    """

    log_shares: Tensor
    readings: Tensor
    example_ids: Tensor
    example_parts: Tensor
    example_readings: Tensor
    direction: Tensor
    other: Tensor
    fingerprint: str

    def tokens_read(self, inputs: MappedInputs, settings: MappedSettings) -> int:
        """Tokens that took a forward pass, each counted by the share of the layers that it went through."""
        words = sum(map(len, inputs.base_tokens)) + self.example_parts.numel()
        words += len(inputs.base_tokens) + len(self.example_ids)  # the prefix tokens
        return round(words * max(settings.depths)) + _STATES_TEXT * (2 if self.other.any() else 1)

    def save(self, state: SavedState) -> None:
        """Write it; raises as `SavedState`."""
        state.save({name: value for name, value in vars(self).items() if name != "fingerprint"}, {})

    @classmethod
    def load(cls, state: SavedState, fingerprint: str) -> "Evidence | None":
        """What `save` wrote; None if there is nothing, or it was found from something else."""
        found = state.load()
        try:
            return cls(**found[0], fingerprint=fingerprint) if found is not None else None
        except TypeError:
            return None


def _evidence(
    model: Any,
    inputs: MappedInputs,
    text: _Text,
    settings: MappedSettings,
    scratch: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> Evidence:
    """The evidence; the main process finds it, the others read what it wrote."""
    fingerprint = _fingerprint(
        sums_of_bits(model),
        [list(ids) for ids in inputs.base_tokens],
        hashlib.sha256("\n".join([*text.learned, *text.replay]).encode()).hexdigest(),
        [inputs.seed, inputs.prefix_token, settings.examples, settings.depths],
    )
    state = SavedState(scratch / "evidence.safetensors", fingerprint)
    with processes.main_process_first():
        found = Evidence.load(state, fingerprint)
        if found is None:
            found = _find_evidence(model, inputs, text, settings, fingerprint, reporter)
            found.save(state)
    return found


def _find_evidence(
    model: Any,
    inputs: MappedInputs,
    text: _Text,
    settings: MappedSettings,
    fingerprint: str,
    reporter: ProgressReporter,
) -> Evidence:
    first_new_id = len(model.get_input_embeddings().weight)
    new = len(inputs.base_tokens)
    with reporter.task("counting tokens", text.bytes, "bytes") as task:
        counts = count_tokens(text.learned, inputs.tokenizer_pair, first_new_id, new, task.advance)
    if not counts.new.any():
        raise TrainingError(
            "no new token occurs in the text; give more of it, or text of the language that the vocabulary "
            "was learned for"
        )
    parts = merged_parts(inputs.tokenizer_pair)
    order = torch.argsort(counts.base, descending=True, stable=True).tolist()
    example_ids = [number for number in order if counts.base[number] >= _LEAST_COUNT and number in parts][
        : settings.examples
    ]
    example_parts = [parts[number] for number in example_ids]
    with reporter.task("reading tokens", new + len(example_ids), "sequences") as task:
        new_readings = readings(model, inputs.base_tokens, inputs.prefix_token, settings.depths, task.advance)
        known = readings(model, example_parts, inputs.prefix_token, settings.depths, task.advance)
    own = _states(model, text.learned, inputs, reporter)
    other = _states(model, text.replay, inputs, reporter) if text.replay else None
    first = torch.tensor([ids[0] for ids in inputs.base_tokens])
    return Evidence(
        log_shares=log_shares(counts, first),
        readings=new_readings,
        example_ids=torch.tensor(example_ids, dtype=torch.long),
        example_parts=torch.tensor(example_parts, dtype=torch.long).reshape(-1, 2),
        example_readings=known,
        direction=unit_direction(own).cpu(),
        other=(torch.zeros_like(own[0]) if other is None else separating_direction(own, other)).cpu(),
        fingerprint=fingerprint,
    )


def _states(model: Any, texts: list[str], inputs: MappedInputs, reporter: ProgressReporter) -> Tensor:
    """Last hidden states (T, D) of the base over some of the texts."""
    encode = inputs.tokenizer_pair.base_ids
    stream = packed(texts, encode, inputs.prefix_token, SEQUENCE_TOKENS, inputs.seed)
    count = _STATES_TEXT // SEQUENCE_TOKENS
    with reporter.task("reading text", count, "sequences") as task:
        return last_states(model, torch.stack([next(stream) for _ in range(count)]), task.advance)


def closed_form_maps(
    model: Any, inputs: MappedInputs, evidence: Evidence, settings: MappedSettings
) -> dict[str, MappedRows]:
    """The maps by the name of their matrix, as the closed form starts them.

    An input row is what the ridge gives. So is a tied one, with a part of the prior. An output row of its own
    starts as that of the first base token, because that is the token whose place it takes, with the prior.
    In text of other languages that token is as likely as ever, and so would be the new ones that begin with
    it: there all of them get a bias against them.
    """
    rows = model.get_input_embeddings().weight.detach()
    device, dtype = rows.device, rows.dtype
    tied = OUTPUT_EMBEDDINGS not in inputs.scale
    new = Tokens(inputs.base_tokens, evidence.readings)
    known = Tokens(evidence.example_parts.tolist(), evidence.example_readings)
    shares = evidence.log_shares.to(device)
    prior = shares[:, None] * evidence.direction.to(device)
    wanted = rows[evidence.example_ids.to(device)].float()
    start = mean_of_base_tokens(rows, new.base_tokens)
    if len(wanted):  # a base without merges, or text without its merged tokens, gives no example
        start = mapped_start(features(rows, known), wanted, features(rows, new), settings.ridge)
    # The readings enter as the closed form brings them into the space of the rows. As they are, a few numbers
    # of the residual stream are so large and so alike in all tokens that the map would learn a constant.
    of_rows = [*base_token_features(rows, new.base_tokens), start]
    if tied:
        scale = inputs.scale[INPUT_EMBEDDINGS]
        return {INPUT_EMBEDDINGS: MappedRows(start + _PRIOR["tied"] * prior, of_rows, scale, dtype)}
    head = model.get_output_embeddings().weight.detach()
    of_head = base_token_features(head, new.base_tokens)
    *_, first = of_head
    output_start = first + _PRIOR["untied"] * prior - _OTHER_NATS * evidence.other.to(device)
    return {
        INPUT_EMBEDDINGS: MappedRows(start, of_rows, inputs.scale[INPUT_EMBEDDINGS], dtype),
        OUTPUT_EMBEDDINGS: MappedRows(output_start, of_head, inputs.scale[OUTPUT_EMBEDDINGS], dtype),
    }


def merged_parts(pair: TokenizerPair) -> dict[int, list[int]]:
    """The two base tokens that each base token is merged from, by id."""
    model = json.loads(pair.base.to_str())["model"]
    vocab: dict[str, int] = model["vocab"]
    found: dict[int, list[int]] = {}
    for merge in model["merges"]:
        left, right = merge if isinstance(merge, list) else merge.split(" ")
        if (whole := vocab.get(left + right)) is not None:
            found.setdefault(whole, [vocab[left], vocab[right]])
    return found


def _replay_figures(
    learner: MapLearner, inputs: MappedInputs, texts: list[str], rows: dict[str, Tensor]
) -> dict[str, float]:
    """Bits per byte of base and extended model on held-out text in other languages."""
    figures, pair = {}, inputs.tokenizer_pair
    for name, encode, table in (
        ("base_bits_per_byte", pair.base_ids, None),
        ("bits_per_byte", pair.new_ids, rows),
    ):
        sequences = packed_once(texts, encode, inputs.prefix_token, SEQUENCE_TOKENS)
        figures[name] = round(learner.bits_per_byte(*sequences, table), 5)
    return figures


def _fingerprint(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
