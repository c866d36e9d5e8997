"""The alignment phase brings the extended model to what the base makes of the same text."""

import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import TURKISH
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import Corpus, ExtendedModel, Vocabulary
from ekle.bpe.tokenizer_pair import AlignedEncoding, TokenizerPair
from ekle.errors import InputError, TokenizerError, TrainingError
from ekle.files import read_json, write_json
from ekle.model.layers.dora import adapted_layers, attach, disable_adapters
from ekle.model.layers.hidden_states import shared_boundaries
from ekle.model.layers.new_rows import NewRows, split_rows
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.training import AlignmentSettings, DoraSettings
from ekle.training import stage
from ekle.training.alignment import (
    AlignmentLoss,
    align,
    align_or_load,
    held_out_of_training,
    passages_with_new_tokens,
    span_ids,
)
from ekle.training.data.documents import Lines
from ekle.training.micro_batches import Passes
from ekle.training.monitoring.held_out import HeldOut
from ekle.training.stage import Inputs, run

both = pytest.mark.parametrize("tied", [False, True])
FIRST, PREFIX_TOKEN_ID = 410, 400
QUICK = AlignmentSettings(steps=40, batch_tokens=256, depths=[0.5, 1.0])


@pytest.fixture
def tokenizer_pair(tiny_base: Path, tiny_vocabulary: Vocabulary) -> TokenizerPair:
    names = (tiny_base, tiny_vocabulary.tokenizer)
    return TokenizerPair(*(Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in names))


def student(extended: ExtendedModel, adapters: bool = False) -> tuple[Any, NewRows]:
    model = AutoModelForCausalLM.from_pretrained(extended.model, dtype=torch.float32).requires_grad_(False)
    rows = split_rows(model, FIRST)
    if adapters:
        attach(model, DoraSettings(rank=2, alpha=2.0), generator=torch.Generator().manual_seed(0))
    return model, rows


def passages(tokenizer_pair: TokenizerPair) -> list[AlignedEncoding]:
    return list(passages_with_new_tokens(TURKISH, tokenizer_pair, 80))


@both
@pytest.mark.parametrize("learn", ["rows", "rows_and_adapters"])
def test_both_losses_go_down(
    tied: bool, learn: str, tiny_extended: ExtendedModel, tokenizer_pair: TokenizerPair
) -> None:
    adapters = learn == "rows_and_adapters"
    model, rows = student(tiny_extended, adapters)
    settings = QUICK.model_copy(update={"learn": learn, "adapters_learning_rate": 1e-3})
    found = align(model, rows, itertools.cycle(passages(tokenizer_pair)), PREFIX_TOKEN_ID, settings, silent())
    first, last = found.curve[0], found.curve[-1]
    assert last["distance"] < 0.8 * first["distance"]
    assert last["spans"] < (1.0 if tied else 0.9) * first["spans"]  # one row cannot serve both ends as well
    assert found.tokens < found.base_tokens
    if adapters:
        assert all(layer.lora_b.abs().max() > 0 for _, layer in adapted_layers(model))


@both
def test_the_teacher_is_left_alone(
    tied: bool, tiny_extended: ExtendedModel, tokenizer_pair: TokenizerPair
) -> None:
    model, rows = student(tiny_extended, adapters=True)
    learning = {id(each) for each in rows.parameters()}
    learning |= {
        id(p) for _, layer in adapted_layers(model) for p in (layer.lora_a, layer.lora_b, layer.magnitude)
    }
    frozen = {name: p.clone() for name, p in model.named_parameters() if id(p) not in learning}
    text = torch.tensor([[PREFIX_TOKEN_ID, *passages(tokenizer_pair)[0].base.tolist()]])
    with torch.no_grad(), disable_adapters(model):
        before = model(text).logits[..., :FIRST]
    settings = QUICK.model_copy(update={"steps": 4, "learn": "rows_and_adapters"})
    align(model, rows, itertools.cycle(passages(tokenizer_pair)), PREFIX_TOKEN_ID, settings, silent())
    assert frozen and all(torch.equal(model.get_parameter(name), was) for name, was in frozen.items())
    with torch.no_grad():
        assert not torch.equal(model(text).logits[..., :FIRST], before)
        with disable_adapters(model):
            assert torch.equal(model(text).logits[..., :FIRST], before)


def test_a_model_that_reads_only_base_tokens_is_as_near_as_can_be(
    tiny_extended: ExtendedModel, tokenizer_pair: TokenizerPair
) -> None:
    """Both read the base tokens: states are equal, and likelihoods but for the share of the new rows."""
    model, _ = student(tiny_extended)
    head = model.get_output_embeddings()
    head.new.data.fill_(0)  # and almost no share
    head.new.data -= 100 * head.base.mean(dim=0).sign()
    same = [AlignedEncoding(p.base, p.base, p.base_ends, p.base_ends) for p in passages(tokenizer_pair)[:4]]
    distance, _ = AlignmentLoss(model, PREFIX_TOKEN_ID, QUICK).losses(same)
    assert distance.item() == 0


@both
def test_the_losses_are_those_of_the_plain_way(
    tied: bool, tiny_extended: ExtendedModel, tokenizer_pair: TokenizerPair
) -> None:
    """One passage at a time, no padding, full logits; and so are the gradients."""
    some = passages(tokenizer_pair)[:3]
    model, rows = student(tiny_extended)
    distance, spans = AlignmentLoss(model, PREFIX_TOKEN_ID, QUICK).losses(some)
    (distance + spans).backward()
    ours = [table.grad.clone() for table in rows.parameters()]
    plain, plain_rows = student(tiny_extended)
    squares: list[list[torch.Tensor]] = [[], []]
    sizes: list[list[torch.Tensor]] = [[], []]
    apart = []
    for passage in some:
        base, new = ([PREFIX_TOKEN_ID, *ids.tolist()] for ids in (passage.base, passage.new))
        with torch.no_grad():
            told = plain(torch.tensor([base]), output_hidden_states=True)
        given = plain(torch.tensor([new]), output_hidden_states=True)
        teacher = told.logits[0, :-1, :FIRST].log_softmax(-1)[range(len(base) - 1), base[1:]]
        pupil = given.logits[0, :-1].log_softmax(-1)[range(len(new) - 1), new[1:]]
        since = next(at for at, number in enumerate(passage.new) if number >= FIRST)
        here = there = 0
        for end, new_end in zip(passage.base_ends.tolist(), passage.new_ends.tolist(), strict=True):
            apart.append(teacher[here : end + 1].sum() - pupil[there : new_end + 1].sum())
            here, there = end + 1, new_end + 1
            if new_end < since:
                continue
            # transformers gives the state after the last layer normed, so that one is taken by a hook
            for depth, (ones, others) in enumerate(zip(_after(plain, base), _after(plain, new), strict=True)):
                squares[depth].append((others[new_end + 1] - ones[end + 1].detach()).square().sum())
                sizes[depth].append(ones[end + 1].detach().square().sum())
    expected = torch.stack(
        [torch.stack(a).mean() / torch.stack(b).mean() for a, b in zip(squares, sizes, strict=True)]
    ).mean()
    likelihood = functional.huber_loss(torch.stack(apart), torch.zeros(len(apart)))
    torch.testing.assert_close(distance, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(spans, likelihood, rtol=1e-4, atol=1e-6)
    (expected + likelihood).backward()
    for mine, table in zip(ours, plain_rows.parameters(), strict=True):
        torch.testing.assert_close(mine, table.grad, rtol=1e-3, atol=1e-5)


def _after(model: Any, ids: list[int]) -> list[torch.Tensor]:
    """States (T, D) after each of the two layers."""
    found: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(
            lambda _, __, out: found.append(out[0] if isinstance(out, tuple) else out)
        )
        for layer in model.model.layers
    ]
    model.model(torch.tensor([ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return [states[0] for states in found]


def test_boundaries_are_where_both_tokenizations_end_a_token_at_the_same_byte(
    tokenizer_pair: TokenizerPair,
) -> None:
    some = passages(tokenizer_pair)[:5]
    here, there = shared_boundaries(some, FIRST)
    assert here.shape[1] > 0
    for (row, base_at), (same, new_at) in zip(here.T.tolist(), there.T.tolist(), strict=True):
        assert row == same
        assert (some[row].new[:new_at] >= FIRST).any()  # not before the first new token
        texts = [
            tokenizer.decode(ids[:at].tolist())
            for tokenizer, ids, at in (
                (tokenizer_pair.base, some[row].base, base_at),
                (tokenizer_pair.new, some[row].new, new_at),
            )
        ]
        assert texts[0] == texts[1]


def test_spans_hold_the_same_text_in_both_tokenizations(tokenizer_pair: TokenizerPair) -> None:
    some = passages(tokenizer_pair)[:5]
    old, new = span_ids(some, new=False), span_ids(some, new=True)
    assert old[-1] == new[-1] == sum(len(passage.new_ends) for passage in some) - 1
    ids = [
        torch.cat([torch.from_numpy(each) for each in cuts])
        for cuts in zip(*((p.base, p.new) for p in some), strict=True)
    ]
    for span in range(int(new[-1]) + 1):
        texts = [
            tokenizer.decode(cut[number == span].tolist())
            for tokenizer, cut, number in (
                (tokenizer_pair.base, ids[0], old),
                (tokenizer_pair.new, ids[1], new),
            )
        ]
        assert texts[0] == texts[1] != ""


@both
@pytest.mark.parametrize("learn", ["rows", "rows_and_adapters"])
def test_an_alignment_that_makes_held_out_text_worse_is_undone(
    tied: bool, learn: str, tiny_extended: ExtendedModel, tokenizer_pair: TokenizerPair
) -> None:
    model, rows = student(tiny_extended, adapters=True)
    learned = [*rows.parameters(), *adapters_of(model)]
    start = [parameter.clone() for parameter in learned]
    held_out, lines = held_out_text(tiny_extended), []
    reporter = silent()
    reporter.say = lambda text, **figures: lines.append(text)  # type: ignore[method-assign]
    text = itertools.cycle(passages(tokenizer_pair))

    def measure() -> float:
        return held_out.measure(model).bits_per_byte

    before = measure()
    wild = {"steps": 3, "learn": learn, "rows_learning_rate": 30.0, "adapters_learning_rate": 0.5}
    settings = QUICK.model_copy(update=wild)
    found = align(model, rows, text, PREFIX_TOKEN_ID, settings, reporter, measure=measure)
    assert not found.kept
    assert found.bits_per_byte_before == before
    assert found.bits_per_byte_after is None or found.bits_per_byte_after > before
    assert all(torch.equal(now, was) for now, was in zip(learned, start, strict=True))
    assert measure() == before
    assert len(lines) == 1 and lines[0].endswith("so it is undone")

    for table in rows.parameters():
        table.data.normal_(std=0.5, generator=torch.Generator().manual_seed(0))
    before = measure()
    gentle = QUICK.model_copy(update={"learn": learn})
    found = align(model, rows, text, PREFIX_TOKEN_ID, gentle, silent(), measure=measure)
    assert found.kept
    assert found.bits_per_byte_after == measure() < before
    assert found.bits_per_byte_before == before


def adapters_of(model: Any) -> list[torch.nn.Parameter]:
    return [p for _, layer in adapted_layers(model) for p in (layer.lora_a, layer.lora_b, layer.magnitude)]


@pytest.mark.parametrize("holds_out", [True, False])
def test_a_training_says_whether_its_alignment_is_kept(
    holds_out: bool, tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    corpus = tiny_corpus
    if not holds_out:
        shutil.copytree(tiny_corpus.folder, tmp_path / "corpus")
        shutil.rmtree(tmp_path / "corpus" / "held-out")
        corpus = Corpus(tmp_path / "corpus")
    train(corpus, with_noise(tiny_extended, tmp_path / "noise"), tmp_path / "out", steps=4)
    about = read_json(tmp_path / "out" / "training.json")["alignment"]
    assert about["kept"]
    assert about["bits_per_byte_after"] < about["bits_per_byte_before"]
    train(corpus, tiny_extended, tmp_path / "wild", steps=2, rows_learning_rate=30.0)
    assert not read_json(tmp_path / "wild" / "training.json")["alignment"]["kept"]


def test_text_is_held_out_of_the_training_text_where_the_corpus_has_none(
    tiny_corpus: Corpus, tokenizer_pair: TokenizerPair, tmp_path: Path
) -> None:
    text = Lines(tiny_corpus.train, 0)
    documents, parts = held_out_of_training(text, 10**6)
    assert documents == parts == [text.text(number) for number in range(len(text) // 10)]
    documents, parts = held_out_of_training(text, 100)
    assert sum(len(part.encode()) for part in parts) in (99, 100)
    assert documents[-1].startswith(parts[-1])
    one = tmp_path / "one.jsonl"
    one.write_text('{"text": "Evler"}\n', "utf-8")
    with pytest.raises(TrainingError, match=r"one\.jsonl is one document.*training\.alignment\.steps"):
        held_out_of_training(Lines(one, 0), 100)


def test_a_run_aligns_before_its_first_step_and_only_once(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = with_noise(tiny_extended, tmp_path / "noise")
    plain = train(tiny_corpus, noise, tmp_path / "plain", steps=0)
    aligned = train(tiny_corpus, noise, tmp_path / "aligned", steps=10)
    assert aligned["held_out_bits_per_byte"] < plain["held_out_bits_per_byte"]
    about = read_json(tmp_path / "aligned" / "aligned" / "alignment.json")
    assert about["tokens"] > 0 and about["curve"]
    with monkeypatch.context() as patch:
        patch.setattr(stage, "align_or_load", None)  # finished: nothing is aligned again
        again = train(tiny_corpus, noise, tmp_path / "aligned", steps=10)
    assert again == aligned


def test_a_run_killed_after_the_phase_or_in_it_ends_with_the_same_weights(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = with_noise(tiny_extended, tmp_path / "noise")
    train(tiny_corpus, noise, tmp_path / "whole", steps=4)
    assert read_json(tmp_path / "whole" / "training.json")["alignment"]["kept"]
    for place, owner in (("losses", AlignmentLoss), ("accumulate", Passes)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, place, _killed)
            train(tiny_corpus, noise, tmp_path / place, steps=4)
        assert (tmp_path / place / "aligned").exists() == (place == "accumulate")
        train(tiny_corpus, noise, tmp_path / place, steps=4)
        for file in ("new_rows.safetensors", "adapter/adapter_model.safetensors"):
            assert (tmp_path / place / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def _killed(*given: object) -> None:
    raise KeyboardInterrupt


def test_a_lost_base_tokenizer_is_one_clear_line(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    moved = over(tiny_extended, tmp_path / "extended", name=str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"no folder .*gone.*; or set training\.alignment\.steps to 0"):
        train(tiny_corpus, moved, tmp_path / "out", steps=2)


def test_another_tokenizer_where_the_base_s_was_is_refused(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    moved = over(tiny_extended, tmp_path / "extended", name=str(tiny_vocabulary.tokenizer))
    with pytest.raises(InputError, match=r"was learned over [0-9a-f]{12}; put it back"):
        train(tiny_corpus, moved, tmp_path / "out", steps=2)


def test_the_base_tokenizer_may_be_of_the_hub(
    tiny_corpus: Corpus,
    tiny_extended: ExtendedModel,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def hub(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return str(tiny_base)

    monkeypatch.setattr("ekle.bpe.base.snapshot_download", hub)
    moved = over(tiny_extended, tmp_path / "extended", name="some/base")
    model, rows = student(moved)
    text, settings = Lines(tiny_corpus.train, 0), QUICK.model_copy(update={"steps": 1})
    held_out = held_out_text(tiny_extended)
    folder = tmp_path / "aligned"
    align_or_load(moved, model, rows, text, settings, {}, folder, silent(), held_out, revision="v1")
    assert asked == [("some/base", "v1")]
    assert (tmp_path / "aligned" / "new_rows.safetensors").exists()


def test_text_without_a_new_token_is_one_clear_line(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"text": "zzz"}\n{"text": "0 1 2"}\n', "utf-8")
    model, rows = student(tiny_extended)
    with pytest.raises(TrainingError, match=r"plain\.jsonl has no passage with a new token"):
        align_or_load(
            tiny_extended,
            model,
            rows,
            Lines(plain, 0),
            QUICK,
            {},
            tmp_path / "aligned",
            silent(),
            held_out_text(tiny_extended),
        )
    assert not (tmp_path / "aligned").exists()


def test_a_tokenizer_without_a_token_to_start_with_is_refused_in_one_line(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless = SimpleNamespace(bos_token_id=None, eos_token_id=None, get_vocab=dict)
    held_out = held_out_text(tiny_extended)
    monkeypatch.setattr("ekle.training.alignment.load_tokenizer", lambda folder: nameless)
    model, rows = student(tiny_extended)
    text = Lines(tiny_corpus.train, 0)
    with pytest.raises(TokenizerError, match=r"but the tokenizer has no .* set training\.alignment"):
        align_or_load(tiny_extended, model, rows, text, QUICK, {}, tmp_path / "aligned", silent(), held_out)
    assert not (tmp_path / "aligned").exists()


def held_out_text(extended: ExtendedModel) -> HeldOut:
    return HeldOut(TURKISH[12:], AutoTokenizer.from_pretrained(extended.model), 64, 4)


def with_noise(extended: ExtendedModel, folder: Path) -> ExtendedModel:
    """The same model with noise as new rows, so that a base that knows nothing has something to teach."""
    shutil.copytree(extended.folder, folder)
    file, draw = folder / "model" / "model.safetensors", torch.Generator().manual_seed(0)
    tensors = load_file(file)
    for name in {"model.embed_tokens.weight", "lm_head.weight"} & set(tensors):
        tensors[name][FIRST:].normal_(std=0.5, generator=draw)
    save_file(tensors, file, metadata={"format": "pt"})
    return ExtendedModel(folder)


def over(extended: ExtendedModel, folder: Path, name: str) -> ExtendedModel:
    """The same model, its vocabulary learned over a base of this name."""
    folder.mkdir()
    (folder / "model").symlink_to(extended.model)
    about = read_json(extended.folder / "extension.json")
    write_json(folder / "extension.json", {**about, "base": {**about["base"], "name": name}})
    return ExtendedModel(folder)


def train(corpus: Corpus, extended: ExtendedModel, folder: Path, **alignment: Any) -> dict[str, Any]:
    """One step of training; the evaluation before it, if the corpus holds text out."""
    training = {
        "steps": 1,
        "batch_size": 2,
        "gradient_accumulation": 1,
        "sequence_length": 40,
        "dora": {"rank": 2},
        "precision": "fp32",
        "alignment": {"batch_tokens": 256, "learn": "rows_and_adapters", **alignment},
    }
    folder.mkdir(exist_ok=True)
    recipe = make_recipe({"name": "test", "training": training})
    history = run(recipe, Inputs(corpus, extended), folder, silent()).history
    return next((line for line in history if "held_out_bits_per_byte" in line), {})


def test_adapters_that_are_off_change_nothing(tiny_extended: ExtendedModel) -> None:
    model, _ = student(tiny_extended, adapters=True)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        plain = load_file(tiny_extended.model / "model.safetensors")
        for name, layer in adapted_layers(model):
            layer.lora_b.fill_(0.1)
            given = torch.randn(3, layer.linear.in_features)
            with disable_adapters(model):
                assert torch.equal(layer(given), functional.linear(given, plain[f"{name}.weight"]))
            assert not torch.equal(layer(given), functional.linear(given, plain[f"{name}.weight"]))
        assert model(ids).logits.isfinite().all()


def test_an_alignment_that_was_made_from_other_settings_is_made_anew(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage, "use_kernels", _killed)  # after the phase, before the first checkpoint
        train(tiny_corpus, tiny_extended, tmp_path, steps=1)
    kept = tmp_path / "aligned" / "alignment.json"
    before = read_json(kept)
    train(tiny_corpus, tiny_extended, tmp_path, steps=2)
    after = read_json(kept)
    assert before["record"]["training.alignment.steps"] == 1
    assert after["record"]["training.alignment.steps"] == 2
    assert after["tokens"] > before["tokens"]
