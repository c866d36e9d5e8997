"""A tiny Qwen3 with the real vocabulary, briefly pre-trained with the base tokenizer.

It replaces a real Qwen3 where none is available, so that extension and training work on a model that has
learned something. It has all 151,936 embedding rows, but trains only those of tokens that occur in the text.
The other tokens share one output embedding while training, and the softmax counts it as often as there are
such tokens. So the softmax is exactly that of the full model, at the cost of the tokens in use.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

from ekle.bpe.base import BaseTokenizer
from ekle.errors import TextError
from ekle.planning.shapes import tiny_shape
from ekle.progress import ProgressReporter
from ekle.recipe.base import TinyModelSettings

_END_OF_TEXT, _END_OF_TURN = "<|endoftext|>", "<|im_end|>"


def build(
    shape: TinyModelSettings,
    base: BaseTokenizer,
    texts: Sequence[str],
    seed: int,
    folder: Path,
    reporter: ProgressReporter,
) -> list[dict[str, float]]:
    """Pre-train a model of `shape` on `texts`, and write model and tokenizer to `folder`.

    Returns:
        The loss per token in nats every ten steps, as `{"step", "loss"}`.

    Raises:
        TextError: the texts are shorter than one sequence.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stream = _stream(base, texts)
        if len(stream) <= shape.sequence_length:
            raise TextError(
                f"the text has {len(stream):,} tokens, too few for sequences of {shape.sequence_length}"
            )
        used, compact = torch.unique(stream, return_inverse=True)
        model = Qwen3ForCausalLM(_config(shape, base, len(used) + 1))
        curve = _train(model, compact, base.rows - len(used), shape, reporter)
        full = _full_model(model, used, shape, base)
    logging.disable_progress_bar()  # the reporter has its own
    full.save_pretrained(folder)
    base.save(folder)
    return curve


def _stream(base: BaseTokenizer, texts: Sequence[str]) -> Tensor:
    tokenizer = base.tokenizer()
    separator = base.added.get(_END_OF_TEXT)
    ids: list[int] = []
    for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        ids += [separator, *encoding.ids] if separator is not None else encoding.ids
    return torch.tensor(ids, dtype=torch.long)


def _config(shape: TinyModelSettings, base: BaseTokenizer, rows: int) -> Qwen3Config:
    return Qwen3Config(
        **tiny_shape(shape, rows).config,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=base.added.get(_END_OF_TURN) if rows == base.rows else None,
        pad_token_id=None,
        dtype="float32",
    )


def _train(
    model: Qwen3ForCausalLM, stream: Tensor, unseen: int, shape: TinyModelSettings, reporter: ProgressReporter
) -> list[dict[str, float]]:
    """AdamW on random windows of `stream`; the last row of the model represents `unseen` tokens."""
    length = shape.sequence_length
    batch = max(1, shape.batch_tokens // length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape.learning_rate, weight_decay=0.01)
    warmup = max(1, shape.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / max(1, shape.steps)))),
    )
    # Adding log n to a logit counts its token n times in the softmax.
    log_counts = torch.zeros(model.config.vocab_size)
    log_counts[-1] = math.log(max(unseen, 1))
    curve: list[dict[str, float]] = []
    model.train()
    with reporter.task("pre-training the tiny base", shape.steps, "steps") as task:
        for step in range(shape.steps):
            starts = torch.randint(0, len(stream) - length, (batch,))
            windows = torch.stack([stream[start : start + length + 1] for start in starts.tolist()])
            hidden = model.model(windows[:, :-1]).last_hidden_state
            logits = model.lm_head(hidden) + log_counts
            loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if step % 10 == 0 or step == shape.steps - 1:
                curve.append({"step": float(step + 1), "loss": loss.item()})
            task.advance(1, f"loss {loss.item():.2f}")
    return curve


@torch.no_grad()
def _full_model(
    model: Qwen3ForCausalLM, used: Tensor, shape: TinyModelSettings, base: BaseTokenizer
) -> Qwen3ForCausalLM:
    """The same model with all rows of the base: trained rows at their ids, the shared row at all others."""
    full = Qwen3ForCausalLM(_config(shape, base, base.rows))
    for name, parameter in full.named_parameters():
        if "embed_tokens" not in name and "lm_head" not in name:
            parameter.copy_(model.get_parameter(name))
    full.model.embed_tokens.weight[used] = model.model.embed_tokens.weight[:-1]
    if shape.tied:
        rest = torch.ones(base.rows, dtype=torch.bool)
        rest[used] = False
        full.model.embed_tokens.weight[rest] = model.model.embed_tokens.weight[-1]
    else:
        full.lm_head.weight[:] = model.lm_head.weight[-1]
        full.lm_head.weight[used] = model.lm_head.weight[:-1]
    ends = [base.added[name] for name in (_END_OF_TURN, _END_OF_TEXT) if name in base.added]
    padding = base.added.get(_END_OF_TEXT)
    full.generation_config = GenerationConfig(eos_token_id=ends or None, pad_token_id=padding)
    return full
