"""Documents in parts that a model can take."""

from collections.abc import Iterator


def passages(text: str, longest: int) -> Iterator[str]:
    """The text in parts of at most `longest` characters, which begin at white space where there is some."""
    start = 0
    while start < len(text):
        stop = min(start + longest, len(text))
        if stop < len(text):
            space = text.rfind(" ", start + 1, stop)
            stop = space if space > start else stop
        yield text[start:stop]
        start = stop
