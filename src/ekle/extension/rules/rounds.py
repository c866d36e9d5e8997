"""The budget of a rule that learns: a number of tokens, in rounds with a measurement after each."""

ROUNDS = 4
"""Measurements on held-out text on the way; the best rows of all are kept."""
TIMED_STEPS = 5
"""Steps after which a budget of minutes becomes one of tokens."""


def tokens_in(minutes: float, seconds: float, tokens: int) -> int:
    """Tokens that are read in `minutes` at the speed of the first `tokens`, which took `seconds`.

    With a number of tokens as its end, an interrupted run ends where it would have ended, with the same bits,
    and the rate falls by the same clock that ends it.
    """
    return round(60 * minutes / seconds * tokens)


def round_is_over(tokens: int, planned: int | None, rounds: int) -> bool:
    """Whether after `tokens` of `planned` another round ends, of which `rounds` have ended before."""
    return planned is not None and rounds < ROUNDS and tokens * ROUNDS >= planned * (rounds + 1)
