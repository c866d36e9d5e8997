"""Fewer words of other languages, which the morphological profile weighs one by one."""

from collections.abc import Iterator

import pytest

from ekle.vocabulary.profiles import morphological


@pytest.fixture(scope="session", autouse=True)
def _english_alone() -> Iterator[None]:
    """Of the seven lists of words that are left to the base, English is enough to see that they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(morphological, "FOREIGN", ("en",))
        yield
