"""What a training on the tiny model starts from."""

import pytest

from ekle.artifacts import Corpus, ExtendedModel
from ekle.training.stage import Inputs


@pytest.fixture
def inputs(tiny_corpus: Corpus, tiny_extended: ExtendedModel) -> Inputs:
    """The tiny corpus and the tiny extended model."""
    return Inputs(tiny_corpus, tiny_extended)
