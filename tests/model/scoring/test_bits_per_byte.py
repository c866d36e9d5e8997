"""Bits per byte against cases worked by hand and against one plain forward pass."""

import math
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.errors import CheckpointError, InputError, TextError, TokenizerError
from ekle.model.scoring.bits_per_byte import Likelihood, measure, measure_documents

DOCUMENTS = [
    "Evimizin önündeki yol geçen kış kardan kapanmıştı.",
    "Deniz.",
    "Yarın sabah erkenden yola çıkıp akşam eve döneceğiz. Bahçedeki çiçekler bu bahar erkenden açtı.",
    "a",
]


@pytest.fixture
def tiny(tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(tiny_base)


class Uniform(torch.nn.Module):
    """A "model" that gives each of four ids the same probability, with less memory than it seems."""

    def __init__(self, fits: int = 1_000_000):
        super().__init__()
        self.config = SimpleNamespace(vocab_size=4)
        self.device = torch.device("cpu")
        self.fits = fits
        self.head = torch.nn.Linear(1, 4, bias=False)
        self.batches: list[int] = []

    def get_decoder(self):
        return self.decode

    def decode(self, input_ids, attention_mask, use_cache):
        self.batches.append(len(input_ids))
        if len(input_ids) > self.fits:
            raise torch.OutOfMemoryError("no memory")
        return SimpleNamespace(last_hidden_state=torch.zeros(*input_ids.shape, 1))

    def get_output_embeddings(self):
        return self.head


class Letters:
    """A "tokenizer" with the ids 1 for a, 2 for b and 3 for the start."""

    bos_token_id = eos_token_id = None

    def __init__(self, start: str = "<|endoftext|>"):
        self.vocab = {"a": 1, "b": 2, start: 3}

    def get_vocab(self):
        return self.vocab

    def __call__(self, text, add_special_tokens, verbose):
        return {"input_ids": [self.vocab[letter] for letter in text]}


def test_a_uniform_model_over_four_tokens_costs_two_bits_a_token():
    likelihood = measure(Uniform(), Letters(), ["abab", "ba"], context=8, batch_size=2)
    assert likelihood.tokens == likelihood.bytes == 6
    assert likelihood.documents == 2
    assert likelihood.bits_per_byte == pytest.approx(2.0)
    assert likelihood.loss_per_token == pytest.approx(math.log(4))
    assert likelihood.perplexity == pytest.approx(4.0)


def test_bits_are_divided_by_bytes_not_by_tokens():
    assert Likelihood(nats=8 * math.log(2), tokens=2, bytes=4, documents=1).bits_per_byte == pytest.approx(2)
    assert Likelihood(nats=1e6, tokens=1, bytes=1, documents=1).perplexity == math.inf


def test_a_document_equals_one_plain_forward_pass(tiny):
    model, tokenizer = tiny
    text = DOCUMENTS[0]
    ids = torch.tensor([[400, *tokenizer(text)["input_ids"]]])  # 400 is <|endoftext|>
    with torch.no_grad():
        chances = model(input_ids=ids).logits[0, :-1].log_softmax(dim=-1)
    expected = -chances.gather(1, ids[0, 1:, None]).sum().item()
    likelihood = measure(model, tokenizer, [text], context=500, batch_size=1)
    assert likelihood.nats == pytest.approx(expected, rel=1e-5)
    assert likelihood.tokens == ids.shape[1] - 1
    assert likelihood.bytes == len(text.encode())


@pytest.mark.parametrize("tied", [False, True])
def test_figures_do_not_depend_on_batch_size_or_padding(tiny):
    model, tokenizer = tiny
    alone = [measure(model, tokenizer, [text], context=24, batch_size=1) for text in DOCUMENTS]
    for batch_size in (2, 3, 64):
        together = measure_documents(model, tokenizer, DOCUMENTS, context=24, batch_size=batch_size)
        for one, other in zip(alone, together, strict=True):
            assert other.nats == pytest.approx(one.nats, rel=1e-5)
            assert (other.tokens, other.bytes) == (one.tokens, one.bytes)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 12, 13, 40])
@pytest.mark.parametrize("context", [2, 3, 8])
def test_windows_count_every_token_once_and_with_enough_before_it(length, context, monkeypatch):
    counted = []

    class Telling(Uniform):
        """A "model" whose states tell the first id of their window, and how many tokens they see."""

        def decode(self, input_ids, attention_mask, use_cache):
            assert input_ids.shape[1] <= context
            seen = torch.arange(1, input_ids.shape[1] + 1).expand(input_ids.shape)
            first = input_ids[:, :1].expand(input_ids.shape)
            return SimpleNamespace(last_hidden_state=torch.stack([first, seen], dim=-1))

    class Numbers(Letters):
        """A "tokenizer" that gives letters the numbers from 1 on; 0 is the start."""

        def __init__(self):
            self.vocab = {"<|endoftext|>": 0}

        def __call__(self, text, add_special_tokens, verbose):
            return {"input_ids": list(range(1, len(text) + 1))}

    def losses(states, head, labels, *_):
        counted.extend(zip(labels.tolist(), states.tolist(), strict=True))
        return torch.zeros(len(labels))

    monkeypatch.setattr("ekle.model.scoring.bits_per_byte.chunked_cross_entropy", losses)
    model = Telling()
    model.config.vocab_size = length + 1
    measure(model, Numbers(), ["a" * length], context=context, batch_size=2)
    assert sorted(number for number, _ in counted) == list(range(1, length + 1))
    for number, (first, seen) in counted:
        assert number == first + seen
        assert first == 0 or seen >= context // 2


def test_a_long_document_is_measured_window_by_window(tiny):
    model, tokenizer = tiny
    ids = [400, *tokenizer(DOCUMENTS[2])["input_ids"]]
    context, expected = 16, 0.0
    for place in range(1, len(ids)):  # the slow reference: one forward pass per token
        begin = 0 if place < context else ((place - context) // (context // 2) + 1) * (context // 2)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[begin:place]])).logits[0, -1]
        expected -= logits.log_softmax(dim=-1)[ids[place]].item()
    likelihood = measure(model, tokenizer, [DOCUMENTS[2]], context=context, batch_size=4)
    assert len(ids) > 2 * context
    assert likelihood.nats == pytest.approx(expected, rel=1e-5)


class Looking(Uniform):
    """A "model" whose certainty is how many tokens it sees: the score of `a` is that number, of others 0."""

    def decode(self, input_ids, attention_mask, use_cache):
        seen = torch.arange(1.0, input_ids.shape[1] + 1).expand(input_ids.shape)
        return SimpleNamespace(last_hidden_state=seen[..., None])

    def get_output_embeddings(self):
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0], [1.0], [0.0], [0.0]]))
        return self.head


def test_what_each_token_sees_at_the_borders_of_windows_is_as_worked_out_by_hand():
    # Context 4: the windows of the start and six a's begin at 0, 2 and 4 and count 3, 2 and 1 tokens. Each
    # token sees: 1, 2, 3 in the first window; 2, 3 in the second (half of it was counted); 2 in the third.
    likelihood = measure(Looking(), Letters(), ["aaaaaa"], context=4, batch_size=2)
    cost = {seen: math.log(math.exp(seen) + 3) - seen for seen in (1, 2, 3)}
    assert likelihood.nats == pytest.approx(cost[1] + 3 * cost[2] + 2 * cost[3])
    assert (likelihood.tokens, likelihood.bytes) == (6, 6)


def test_too_large_a_batch_is_halved_until_it_fits():
    model = Uniform(fits=2)
    likelihood = measure(model, Letters(), ["ab"] * 9, context=8, batch_size=8)
    assert likelihood.tokens == 18
    assert likelihood.bits_per_byte == pytest.approx(2.0)
    assert model.batches == [8, 4, 2, 2, 2, 2, 1]


def test_a_window_that_never_fits_is_a_clear_error():
    with pytest.raises(CheckpointError, match=r"lower evaluation\.context"):
        measure(Uniform(fits=0), Letters(), ["ab"], context=8, batch_size=4)


def test_the_training_mode_is_restored(tiny):
    model, tokenizer = tiny
    model.train()
    measure(model, tokenizer, ["a"], context=8, batch_size=1)
    assert model.training


def test_an_empty_document_among_others_costs_nothing(tiny):
    model, tokenizer = tiny
    parts = measure_documents(model, tokenizer, ["", "Deniz."], context=8, batch_size=2)
    assert (parts[0].nats, parts[0].tokens, parts[0].bytes) == (0.0, 0, 0)
    assert parts[1].nats > 0


def test_nothing_to_measure_is_refused(tiny):
    model, tokenizer = tiny
    with pytest.raises(TextError, match="no text"):
        measure(model, tokenizer, [""], context=8, batch_size=1)
    with pytest.raises(InputError, match="at least 2"):
        measure(model, tokenizer, ["a"], context=1, batch_size=1)


def test_a_tokenizer_of_another_model_is_refused(tiny_base, tiny_extended):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_extended.model)
    with pytest.raises(CheckpointError, match="410 embedding rows"):
        measure(model, tokenizer, DOCUMENTS, context=16, batch_size=1)


def test_a_tokenizer_without_a_start_is_refused():
    with pytest.raises(TokenizerError, match="start a document"):
        measure(Uniform(), Letters(start="x"), ["ab"], context=8, batch_size=1)


def test_broken_weights_are_reported_not_averaged(tiny):
    model, tokenizer = tiny
    model.get_output_embeddings().weight.data[5] = float("nan")
    with pytest.raises(CheckpointError, match="NaN"):
        measure(model, tokenizer, ["Deniz."], context=8, batch_size=1)
