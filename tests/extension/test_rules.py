"""Each rule for new rows against a case worked by hand, at both ends and where they are one matrix."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file
from tiny import TURKISH
from tokenizers import Tokenizer
from tokenizers.models import BPE
from torch import Tensor

from ekle.artifacts import NewToken, Vocabulary
from ekle.bpe.tokenizer_pair import TokenizerPair
from ekle.extension.extend import extend_model
from ekle.extension.initialise import End, InitialisationContext, rows_by_rule
from ekle.files import read_json
from ekle.model.checkpoint.weights import (
    INPUT_EMBEDDINGS,
    LoadedEmbeddingMatrix,
    StoredEmbeddingMatrix,
    open_weights,
    row_chunks,
)
from ekle.progress import silent
from ekle.recipe.extension import (
    ExtensionSettings,
    FocusSettings,
    Heuristic,
    HybridSettings,
    Initialiser,
    MappedSettings,
    SimilaritySettings,
)

ROWS = torch.tensor([[2.0, 0.0], [0.0, 4.0], [6.0, 6.0], [-2.0, 2.0], [100.0, 100.0]])
USED = torch.tensor([0, 1, 2, 3])  # row 4 is padding
NO_TEXT = (lambda: iter(()), lambda: TokenizerPair(Tokenizer(BPE()), Tokenizer(BPE())), lambda: 0)
BASE = {0: b" ev", 1: b"ler", 2: b"lar", 3: b"den"}


def token(number: int, text: str, base_tokens: list[int], *morphemes: tuple[str, str]) -> NewToken:
    return NewToken(
        id=number,
        text=text,
        category="pattern",
        morphemes=[surface for surface, _ in morphemes],
        count=100 - number,
        tokens_saved=0,
        base_tokens=base_tokens,
        harmony="none",
        foreign_hits=0,
        labels=[label for _, label in morphemes],
    )


EVLER = token(5, " evler", [0, 1], ("ev", "ROOT"), ("ler", "PL"))
EVLERDEN = token(6, " evlerden", [0, 1, 3], ("ev", "ROOT"), ("ler", "PL"), ("den", "ABL"))
LERDEN = token(7, "lerden", [1, 3], ("ler", "PL"), ("den", "ABL"))
LARDAN = token(8, "lardan", [2, 3], ("lar", "PL"), ("dan", "ABL"))
UNKNOWN = token(9, "qx", [3, 3, 1])


def made(method: Heuristic, end: End, *tokens: NewToken, settings: ExtensionSettings | None = None) -> Tensor:
    context = InitialisationContext(
        tokens,
        USED,
        BASE,
        settings or ExtensionSettings(similarity=SimilaritySettings(suffix_chain=1.0)),
        *NO_TEXT,
    )
    return rows_by_rule(method, LoadedEmbeddingMatrix(ROWS), context, end)


def near(rows: Tensor, *wanted: list[float]) -> bool:
    return torch.allclose(rows, torch.tensor(wanted))


def test_mean_rows_are_the_mean_of_the_base_rows_in_use() -> None:
    assert near(made("mean", "input", EVLER, LERDEN), [1.5, 3.0], [1.5, 3.0])


def test_subword_rows_are_the_mean_of_the_base_tokens() -> None:
    assert near(made("subword", "both", EVLER, UNKNOWN), [1.0, 2.0], [-4 / 3, 8 / 3])


def test_longer_base_tokens_weigh_more() -> None:
    # " ev" and "ler" have three bytes each, the Turkish letter below has two of its own
    context = InitialisationContext(
        [token(5, "x", [0, 1])], USED, {0: "ş".encode(), 1: b"lerden"}, ExtensionSettings(), *NO_TEXT
    )
    rows = rows_by_rule("length_weighted", LoadedEmbeddingMatrix(ROWS), context, "output")
    assert near(rows, [2 * 2 / 8, 6 * 4 / 8])


def test_edges_are_the_last_piece_going_in_and_the_first_coming_out() -> None:
    assert near(made("edges", "input", EVLERDEN), [-2.0, 2.0])
    assert near(made("edges", "output", EVLERDEN), [2.0, 0.0])
    assert near(made("edges", "both", EVLERDEN), [0.0, 1.0])


def test_one_edge_leaves_the_other_end_to_the_mean_of_the_base_tokens() -> None:
    assert near(made("first_piece", "output", EVLER), [2.0, 0.0])
    assert near(made("first_piece", "input", EVLER), [1.0, 2.0])
    assert near(made("last_piece", "input", EVLER), [0.0, 4.0])
    assert near(made("last_piece", "output", EVLER), [1.0, 2.0])


def test_asymmetric_input_rows_have_the_median_norm_in_use() -> None:
    rows = made("asymmetric", "input", EVLER, UNKNOWN)
    median = ROWS[USED].norm(dim=1).median()
    assert torch.allclose(rows.norm(dim=1), median.expand(2))
    assert near(rows[:1] / median, (torch.tensor([1.0, 2.0]) / 5**0.5).tolist())
    assert near(made("asymmetric", "output", EVLER), [1.0, 2.0])


def test_statistical_rows_have_mean_and_spread_of_the_rows_in_use() -> None:
    many = [token(5 + number, "x", [0]) for number in range(4000)]
    rows = made("statistical", "input", *many)
    assert torch.allclose(rows.mean(dim=0), ROWS[USED].mean(dim=0), atol=0.2)
    assert torch.allclose(rows.std(dim=0), ROWS[USED].std(dim=0, correction=0), atol=0.2)


def test_noise_follows_from_the_seed_and_differs_at_the_two_ends() -> None:
    for method in ("statistical", "hybrid"):
        first, again = made(method, "input", EVLER), made(method, "input", EVLER)
        assert torch.equal(first, again)
        assert not torch.equal(first, made(method, "output", EVLER))
        assert not torch.equal(first, made(method, "input", EVLER, settings=ExtensionSettings(seed=1)))


def test_a_word_is_like_its_root_and_like_its_suffixes() -> None:
    # base tokens: mean of rows 0, 1, 3; root: row 0 and those of " evler"; chain: "lerden" and "lardan"
    own, root = torch.tensor([0.0, 2.0]), (ROWS[0] + torch.tensor([1.0, 2.0])) / 2
    chain = (torch.tensor([-1.0, 3.0]) + torch.tensor([2.0, 4.0])) / 2
    rows = made("similarity", "input", EVLER, EVLERDEN, LERDEN, LARDAN)
    assert near(rows[1:2], ((own + root + chain) / 3).tolist())


def test_a_suffix_is_like_its_variant_in_other_vowels() -> None:
    rows = made("similarity", "input", LERDEN, LARDAN)
    assert near(rows, [0.5, 3.5], [0.5, 3.5])  # the mean of both, for either


def test_what_comes_out_is_like_first_base_tokens_and_unlike_suffixes() -> None:
    rows = made("similarity", "output", EVLER, EVLERDEN, LERDEN)
    assert near(rows[:1], [2.0, 0.0])
    assert near(rows[2:], [0.0, 4.0])  # it has no harmony variant here


def test_a_token_without_analysis_is_like_its_base_tokens() -> None:
    assert torch.equal(made("similarity", "input", UNKNOWN, EVLER)[:1], made("subword", "input", UNKNOWN))


def test_hybrid_rows_lie_between_similar_rows_and_the_mean() -> None:
    plain = ExtensionSettings(hybrid=HybridSettings(mean_share=0.5, noise=0.0))
    similar, mean = made("similarity", "input", EVLER), made("mean", "input", EVLER)
    assert torch.allclose(made("hybrid", "input", EVLER, settings=plain), (similar + mean) / 2)
    noisy = made("hybrid", "input", *[token(5 + n, "x", [0]) for n in range(4000)])
    assert torch.allclose(noisy.std(dim=0), 0.05 * ROWS[USED].std(dim=0, correction=0), atol=0.02)


def test_rows_are_read_alike_from_disk_and_from_memory(tiny_base: Path) -> None:
    ids = torch.tensor([7, 3, 4, 5, 7, 409])
    with open_weights(tiny_base) as weights:
        disk, memory = (
            StoredEmbeddingMatrix(weights, INPUT_EMBEDDINGS),
            LoadedEmbeddingMatrix(weights.read(INPUT_EMBEDDINGS)),
        )
        assert torch.equal(disk.take(ids), memory.take(ids))
        assert torch.equal(torch.cat(list(row_chunks(disk, ids))), memory.take(ids))
        assert (disk.count, disk.width) == (memory.count, memory.width) == (410, 32)


@pytest.mark.parametrize("method", get_args(Initialiser))
@pytest.mark.parametrize("tied", [False, True])
def test_every_rule_extends_a_model_whose_new_rows_learn(
    method: Initialiser, tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    settings = ExtensionSettings(
        init=method,
        seed=3,
        focus=FocusSettings(min_count=2, dimensions=8),
        mapped=MappedSettings(tokens=1024, batch_tokens=512, held_out_bytes=500),
    )
    folder = tmp_path / "out"
    extended = extend_model(
        tiny_vocabulary.folder, tiny_base, folder, settings, silent(), lambda: iter(TURKISH)
    )
    after = load_file(extended.model / "model.safetensors")
    new = after[INPUT_EMBEDDINGS][410:]
    assert new.shape == (20, 32)
    assert torch.isfinite(new).all()
    flow = read_json(extended.folder / "extension.json")["gradient_flow"]
    ends = {"input"} if tied else {"input", "output"}
    assert set(flow) == {"tokens", "through_layers", *ends}
    for found in (flow, flow["through_layers"]):
        assert found["tokens"] == 20
        assert all(found[end]["least"] > 0 for end in ends)


def test_output_rows_can_have_a_rule_of_their_own(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    settings = ExtensionSettings(init="mean", output="first_piece")
    extended = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "out", settings, silent())
    before = load_file(tiny_base / "model.safetensors")["lm_head.weight"]
    after = load_file(extended.model / "model.safetensors")["lm_head.weight"]
    for new in tiny_vocabulary.tokens():
        assert torch.equal(after[new.id], before[new.base_tokens[0]])
