"""Distilled rows bring the model nearer to its base, and an interruption costs nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import ENGLISH, TURKISH
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary
from ekle.bpe.tokenizer_pair import AlignedEncoding, TokenizerPair
from ekle.errors import TextError, TrainingError
from ekle.extension.extend import extend_model
from ekle.extension.rules.distilled import (
    DistillationProgress,
    DistillationState,
    distillation_fingerprint,
    held_out_passages,
    snippets,
)
from ekle.extension.rules.teacher_student import Distiller, load_teacher
from ekle.extension.stage import Inputs, run
from ekle.files import read_json
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
from ekle.model.encoding import prefix_token_id
from ekle.model.layers.hidden_states import first_layers
from ekle.pipeline.stages import RESUMABLE
from ekle.planning.flops import cost_of
from ekle.planning.shapes import read_shape
from ekle.progress import silent
from ekle.recipe import Recipe
from ekle.recipe.extension import DistillationSettings, ExtensionSettings

both = pytest.mark.parametrize("tied", [False, True])
QUICK = DistillationSettings(passages=8, batch_tokens=256, passes=12, depth=0.5, save_minutes=1e-9)


def text() -> Iterator[str]:
    return iter(TURKISH)


def distil(
    vocabulary: Vocabulary,
    base: Path,
    out: Path,
    settings: DistillationSettings = QUICK,
    output: str | None = None,
) -> ExtendedModel:
    given = ExtensionSettings(init="distilled", distillation=settings, output=output, seed=1)
    return extend_model(vocabulary.folder, base, out, given, silent(), text)


def tokenizer_pair_of(base: Path, vocabulary: Vocabulary) -> TokenizerPair:
    return TokenizerPair(
        Tokenizer.from_file(str(base / "tokenizer.json")),
        Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json")),
    )


def passages_of(base: Path, vocabulary: Vocabulary) -> list[AlignedEncoding]:
    return snippets(TURKISH[:3], tokenizer_pair_of(base, vocabulary), 410, 20, QUICK, silent())


def test_text_in_other_languages_teaches_the_new_tokens_to_keep_out_of_it(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode(ENGLISH[0], add_special_tokens=False).ids])
    shares = []
    for name, replay in (("without", None), ("with", lambda: iter(ENGLISH * 50))):
        settings = QUICK.model_copy(update={"replay_share": 0.6})
        given = ExtensionSettings(init="distilled", distillation=settings)
        extended = extend_model(
            tiny_vocabulary.folder, tiny_base, tmp_path / name, given, silent(), text, replay=replay
        )
        logits = AutoModelForCausalLM.from_pretrained(extended.model, dtype=torch.float32)(ids).logits
        shares.append(float(logits.softmax(dim=-1)[..., 410:].sum(dim=-1).mean()))
    assert shares[1] < 0.9 * shares[0]


def rows(extended: ExtendedModel, name: str) -> torch.Tensor:
    return load_file(extended.model / "model.safetensors")[name][410:]


@both
def test_hidden_states_come_nearer_and_the_new_tokens_likelier(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    extended = distil(tiny_vocabulary, tiny_base, tmp_path / "out")
    about = read_json(extended.folder / "extension.json")["distillation"]
    first, last = about["curve"][0], about["curve"][-1]
    assert about["layers"] == 1
    assert last["distance"] < 0.8 * first["distance"]
    assert last["cross_entropy"] < first["cross_entropy"] - 0.1


@both
def test_the_rows_read_held_out_text_better_than_those_they_start_from(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    about = read_json(distil(tiny_vocabulary, tiny_base, tmp_path / "out").folder / "extension.json")
    found = about["distillation"]
    measured = {point["step"]: point["held_out_bits_per_byte"] for point in found["measurements"]}
    assert next(iter(measured)) == 0
    assert len(measured) == 5
    assert found["best_step"] > 0
    assert round(found["best"], 5) == min(measured.values()) == measured[found["best_step"]] < measured[0]


@both
def test_rows_that_learning_makes_worse_are_not_kept(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    wild = QUICK.model_copy(update={"learning_rate": 100.0, "passes": 2})
    spoilt = distil(tiny_vocabulary, tiny_base, tmp_path / "out", wild)
    about = read_json(spoilt.folder / "extension.json")["distillation"]
    assert about["best_step"] == 0
    assert all(point["held_out_bits_per_byte"] > about["best"] for point in about["measurements"][1:])
    settings = ExtensionSettings(init=QUICK.start, seed=1)
    start = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "start", settings, silent())
    for name in {INPUT_EMBEDDINGS} if tied else {INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS}:
        assert torch.equal(rows(spoilt, name), rows(start, name))


def test_held_out_passages_are_a_part_of_the_text_and_not_learned_from(
    tiny_base: Path, tiny_vocabulary: Vocabulary
) -> None:
    settings = QUICK.model_copy(update={"held_out_bytes": 100})
    held_out = held_out_passages(TURKISH, settings, seed=0)
    assert set(held_out) < set(TURKISH)
    assert 100 <= sum(len(text.encode()) for text in held_out) < 250
    assert held_out != held_out_passages(TURKISH, settings, seed=1)
    pair = tokenizer_pair_of(tiny_base, tiny_vocabulary)
    learned = snippets(TURKISH, pair, 410, 20, settings, silent(), held_out)
    found = {pair.new.decode(passage.new.tolist()) for passage in learned}
    assert found
    assert not found.intersection(held_out)
    with pytest.raises(TrainingError, match="more than 240 characters"):
        held_out_passages(TURKISH[:1], settings, seed=0)


@pytest.mark.parametrize("minutes", [None, 0.01])
def test_an_interrupted_run_ends_with_the_rows_of_one_that_was_not(
    minutes: float | None,
    tiny_base: Path,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = QUICK.model_copy(update={"passes": 10**6, "minutes": minutes}) if minutes else QUICK
    # The speed of the first steps decides how long minutes are; so it is the same here in both runs.
    monkeypatch.setattr("ekle.extension.rules.distilled.tokens_in", lambda *given: 5000)
    whole = distil(tiny_vocabulary, tiny_base, tmp_path / "whole", settings)
    step, calls = Distiller.step, []

    def stop(self: Distiller, *given: object) -> tuple[float, float]:
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return step(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Distiller, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        distil(tiny_vocabulary, tiny_base, tmp_path / "out", settings)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [".out.rows", "whole"]
    again = distil(tiny_vocabulary, tiny_base, tmp_path / "out", settings)
    steps = read_json(again.folder / "extension.json")["distillation"]["step"]
    assert len(calls) - 1 == steps  # none was done twice
    assert not (tmp_path / ".out.rows").exists()
    for name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS):
        assert torch.equal(rows(again, name), rows(whole, name))


def test_a_failure_after_the_learning_costs_no_step(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = QUICK.model_copy(update={"passes": 1, "save_minutes": 60.0})
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("ekle.extension.extend.check_gradient_flow", _interrupted)
        distil(tiny_vocabulary, tiny_base, tmp_path / "out", seldom)
    kept = load_file(tmp_path / ".out.rows" / "distilled.safetensors")
    monkeypatch.setattr(Distiller, "step", _interrupted)
    again = distil(tiny_vocabulary, tiny_base, tmp_path / "out", seldom)
    assert not (tmp_path / ".out.rows").exists()
    for name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS):
        assert torch.equal(rows(again, name), kept[f"best/{name}"])


def _interrupted(*given: object) -> tuple[float, float]:
    raise KeyboardInterrupt


def test_the_teacher_is_in_bfloat16_where_that_is_faster(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("ekle.model.device.has_bf16_matmuls", lambda device: True)
    assert load_teacher(tiny_base).dtype == torch.float32, "a narrow model on a CPU"
    monkeypatch.setattr("ekle.model.device.BF16_WIDTH", 32)
    assert load_teacher(tiny_base).dtype == torch.bfloat16


def test_whatever_changes_the_rows_begins_anew(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    """Each state is kept for the same start and the same text; only what is changed differs."""
    passages, held_out = passages_of(tiny_base, tiny_vocabulary), TURKISH[:1]
    start = {name: torch.zeros(20, 32) for name in (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS)}
    scales = dict.fromkeys(start, 0.1)
    base, other_base = load_teacher(tiny_base), load_teacher(tiny_base)
    other_base.model.norm.weight[3] += 1e-3

    def stamp(model: Any = base, depth: int = 1, weight: float = 1.0, seed: int = 0, **settings: Any) -> str:
        distiller = Distiller(model, start, 400, depth, weight)
        given = QUICK.model_copy(update=settings)
        return distillation_fingerprint(distiller, passages, held_out, scales, given, seed)

    same = [stamp(), stamp(), stamp(load_teacher(tiny_base)), stamp(save_minutes=7)]
    assert len(set(same)) == 1
    others = [stamp(other_base), stamp(depth=2), stamp(weight=0.0), stamp(seed=1), stamp(learning_rate=0.01)]
    assert len({same[0], *others}) == 1 + len(others)


def test_a_state_that_cannot_be_read_whole_changes_nothing(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    state = DistillationState(tmp_path, "stamp")
    names = (INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS)
    learned = Distiller(load_teacher(tiny_base), {name: torch.ones(20, 32) for name in names}, 400, 1, 1.0)
    best = {name: torch.ones(20, 32) for name in names}
    state.save(learned, best, DistillationProgress(step=7))
    file = tmp_path / "distilled.safetensors"
    kept = load_file(file)
    with safe_open(file, framework="pt") as handle:
        about = handle.metadata()
    del kept[f"{OUTPUT_EMBEDDINGS}/steps"]
    save_file(kept, file, metadata=about)
    fresh = Distiller(load_teacher(tiny_base), {name: torch.zeros(20, 32) for name in names}, 400, 1, 1.0)
    assert state.load(fresh) is None
    assert not any(table.any() for table in fresh.rows().values())


@both
def test_the_budget_in_tokens_and_in_minutes_is_kept(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    few = QUICK.model_copy(update={"tokens": 600})
    about = read_json(distil(tiny_vocabulary, tiny_base, tmp_path / "a", few).folder / "extension.json")
    assert 600 <= about["distillation"]["tokens"] < 600 + 256
    short = QUICK.model_copy(update={"passes": 10**6, "minutes": 0.005})
    about = read_json(distil(tiny_vocabulary, tiny_base, tmp_path / "b", short).folder / "extension.json")
    assert about["distillation"]["seconds"] < 3


def test_a_rule_named_for_the_output_has_the_last_word_there(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    extended = distil(tiny_vocabulary, tiny_base, tmp_path / "out", output="subword")
    before = load_file(tiny_base / "model.safetensors")[OUTPUT_EMBEDDINGS]
    for new, row in zip(tiny_vocabulary.tokens(), rows(extended, OUTPUT_EMBEDDINGS), strict=True):
        assert torch.allclose(row, before[new.base_tokens].mean(dim=0), atol=1e-6)


def test_a_text_without_new_tokens_is_refused(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    settings = ExtensionSettings(init="distilled")
    with pytest.raises(TextError, match="no new token occurs"):
        extend_model(
            tiny_vocabulary.folder, tiny_base, tmp_path / "out", settings, silent(), lambda: iter(ENGLISH)
        )
    assert not any(tmp_path.iterdir())


@both
def test_the_student_is_the_lower_part_of_the_model(tied: bool, tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        whole = model(ids, output_hidden_states=True)
        for depth in (1, 2):
            lower = first_layers(model, depth)(input_ids=ids).last_hidden_state
            if depth == 1:  # after the last layer, transformers gives the normed state
                assert torch.equal(lower, whole.hidden_states[1])
            else:
                assert torch.equal(model.model.norm(lower), whole.hidden_states[2])
        assert torch.equal(model(ids).logits, whole.logits)


@both
def test_the_losses_are_those_of_the_plain_way(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary
) -> None:
    """One passage at a time, no padding, full logits, a position after the other."""
    model = load_teacher(tiny_base)
    passages = passages_of(tiny_base, tiny_vocabulary)
    draw = torch.Generator().manual_seed(0)
    names = [INPUT_EMBEDDINGS] if tied else [INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS]
    new = {name: torch.randn(20, 32, generator=draw) for name in names}
    prefix_token = prefix_token_id(AutoTokenizer.from_pretrained(tiny_vocabulary.tokenizer))
    assert prefix_token == 400
    distance, entropy = Distiller(model, new, prefix_token, 1, 1.0).losses(passages)
    table = torch.cat([model.get_input_embeddings().weight, new[INPUT_EMBEDDINGS]])
    head = torch.cat([model.get_output_embeddings().weight, new[names[-1]]])
    apart, size, losses = [], [], []
    for passage in passages:
        base, ids = [prefix_token, *passage.base.tolist()], [prefix_token, *passage.new.tolist()]
        told = model(torch.tensor([base]), output_hidden_states=True).hidden_states
        given = model(inputs_embeds=table[ids][None], output_hidden_states=True).hidden_states[1][0]
        since = next(at for at, number in enumerate(ids) if number >= 410)
        at, left = 0, 0
        for place, number in enumerate(ids):
            pieces = next((t.base_tokens for t in tiny_vocabulary.tokens() if t.id == number), [number])
            if place:
                scores = told[2][0][at] @ head.T
                losses.append(-torch.log_softmax(scores, dim=-1)[number])
            at = left + len(pieces) - 1
            left = at + 1
            if place >= since:
                apart.append((given[place] - told[1][0][at]).square().sum())
                size.append(told[1][0][at].square().sum())
    assert torch.allclose(distance, torch.stack(apart).mean() / torch.stack(size).mean(), rtol=1e-4)
    assert entropy is not None
    assert torch.allclose(entropy, torch.stack(losses).mean(), rtol=1e-4)


def test_every_new_token_gets_its_passages_while_there_are_any(
    tiny_base: Path, tiny_vocabulary: Vocabulary
) -> None:
    tokenizer_pair = tokenizer_pair_of(tiny_base, tiny_vocabulary)
    few = DistillationSettings(passages=1, passage_characters=30)
    found = snippets(TURKISH * 3, tokenizer_pair, 410, 20, few, silent())
    seen = {int(number) for passage in found for number in passage.new if number >= 410}
    everywhere = {i for text in TURKISH for i in tokenizer_pair.new.encode(text).ids if i >= 410}
    assert seen == everywhere
    assert len(found) <= 20


def test_the_stage_of_a_run_goes_on_from_its_parts(
    tiny_base_model: BaseModel,
    tiny_corpus: Corpus,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ExtensionSettings(init="distilled", distillation=QUICK)
    recipe, inputs = Recipe(name="x", extension=given), Inputs(tiny_corpus, tiny_vocabulary, tiny_base_model)
    step, calls = Distiller.step, []

    def stop(self: Distiller, *given: object) -> tuple[float, float]:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return step(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Distiller, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, inputs, tmp_path, silent())
    assert (tmp_path / "parts" / "distilled.safetensors").exists()
    made = run(recipe, inputs, tmp_path, silent())
    assert read_json(made.folder / "extension.json")["distillation"]["step"] == len(calls) - 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["extension.json", "model"]
    assert "extension" in RESUMABLE


def test_extension_json_has_the_operations_of_teacher_and_student(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    found = {}
    for init in ("distilled", "subword"):
        settings = ExtensionSettings(init=init, distillation=QUICK)
        out = tmp_path / init
        extended = extend_model(
            tiny_vocabulary.folder, tiny_base, out, settings, silent(), lambda: iter(TURKISH)
        )
        found[init] = read_json(out / "extension.json")
        assert extended.flops == found[init].get("flops", 0.0)
    assert "flops" not in found["subword"]
    about, shape = found["distilled"]["distillation"], read_shape(tiny_base / "config.json")
    share = about["layers"] / shape.layers
    # A token of ours stands for one to three tokens of the base, which the teacher reads.
    low, high = (cost_of(shape, 8).distilling(410, 20, share, ratio) for ratio in (1.0, 3.0))
    assert about["tokens"] * low < found["distilled"]["flops"] < about["tokens"] * high
