"""Tokens that keep the same company get similar vectors, and new rows are made of such neighbours."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from ekle.artifacts import Vocabulary
from ekle.errors import InputError
from ekle.extension.extend import extend_model
from ekle.extension.rules.averages import mix
from ekle.extension.rules.focus import StaticVectors, focus_mixture, sparsemax, static_vectors
from ekle.model.checkpoint.weights import LoadedEmbeddingMatrix
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

NAMES, CITIES, VERBS = range(5), range(5, 10), range(10, 14)
NEW_NAME, NEW_CITY, RARE = 20, 21, 22


def company(seed: int = 0) -> list[list[int]]:
    """Sentences "name verb city": 20 stands where names do, 21 where cities do, 22 hardly ever."""
    draw = random.Random(seed)
    names, cities = [*NAMES, NEW_NAME], [*CITIES, NEW_CITY]
    said = [[draw.choice(names), draw.choice(VERBS), 14, draw.choice(cities), 15] for _ in range(3000)]
    return [*said, [RARE, 15]]


def vectors(**settings: int) -> StaticVectors:
    given = {"window": 2, "min_count": 5, "dimensions": 6, "seed": 0, **settings}
    return static_vectors(company(), **given)


def test_a_new_row_is_made_of_tokens_that_keep_the_same_company() -> None:
    made = focus_mixture(vectors(), 20, [[0, 14], [0, 14], [7, 15]])
    parts = torch.split(made.ids, made.lengths.tolist())
    weights = torch.split(made.weights, made.lengths.tolist())
    for row, group in ((0, NAMES), (1, CITIES)):
        mass = sum(w for i, w in zip(parts[row].tolist(), weights[row].tolist(), strict=True) if i in group)
        assert mass > 0.95
        assert float(weights[row].sum()) == pytest.approx(1.0)


def test_a_token_too_rare_for_a_vector_is_the_mean_of_its_base_tokens() -> None:
    made = focus_mixture(vectors(), 20, [[0], [0], [7, 15]])
    rows = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(mix(LoadedEmbeddingMatrix(rows), made)[2], rows[[7, 15]].mean(dim=0))


def test_text_without_any_frequent_token_leaves_the_mean_of_the_base_tokens() -> None:
    none = static_vectors([[1, 2, 3]], window=2, min_count=5, dimensions=4, seed=0)
    assert len(none.ids) == 0
    assert focus_mixture(none, 2, [[0, 1]]).weights.tolist() == [0.5, 0.5]
    assert len(static_vectors([], window=2, min_count=1, dimensions=4, seed=0).ids) == 0


def test_the_vectors_are_the_singular_vectors_of_the_full_matrix() -> None:
    """The slow and plain way: dense matrix, dense decomposition; the angles must agree."""
    found = vectors(dimensions=18)
    counts = np.zeros((len(found.ids), len(found.ids)))
    place = {number: at for at, number in enumerate(found.ids.tolist())}
    for sentence in company():
        for at, left in enumerate(sentence):
            for distance in (1, 2):
                if at + distance < len(sentence) and {left, sentence[at + distance]} <= set(place):
                    a, b = place[left], place[sentence[at + distance]]
                    counts[a, b] += 1 / distance
                    counts[b, a] += 1 / distance
    total = counts.sum(axis=1)
    with np.errstate(divide="ignore"):
        table = np.maximum(np.log(counts * (total**0.75).sum() / np.outer(total, total**0.75)), 0)
    left, values, _ = np.linalg.svd(table)
    full = left * np.sqrt(values)
    full /= np.linalg.norm(full, axis=1, keepdims=True)
    assert np.allclose(full @ full.T, (found.vectors @ found.vectors.T).numpy(), atol=1e-3)


def test_the_same_text_gives_the_same_vectors() -> None:
    assert torch.equal(vectors().vectors, vectors().vectors)


def test_sparsemax_is_the_nearest_point_of_the_simplex() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.1], [2.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
    wanted = torch.tensor([[0.55, 0.45, 0.0], [1.0, 0.0, 0.0], [1 / 3] * 3])
    assert torch.allclose(sparsemax(scores), wanted)


def test_a_rule_that_learns_from_text_asks_for_it(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--corpus"):
        extend_model(
            tiny_vocabulary.folder, tiny_base, tmp_path / "out", ExtensionSettings(init="focus"), silent()
        )
    assert not any(tmp_path.iterdir())
