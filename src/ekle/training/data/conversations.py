"""Instructions: conversations as the tokenizer's own chat template writes them.

What the user says is read but not learned, unless the recipe asks for it: only the tokens of the answers, and
the token that ends each, have a label. To find an answer, the conversation is written once more with a mark
in its place. So any template will do that leaves the rest of the conversation as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ekle.errors import TrainingError
from ekle.model.layers.loss import IGNORED
from ekle.training.data.documents import ENCODE_BATCH, Encode, Lines, Tokens

Message = dict[str, str]
"""`role` and `content`."""

Render = Callable[[list[Message]], str]
"""A conversation as one text, with the special tokens of the model."""

_MARK = "\ue000"  # of the private use area, with which no text begins


class Conversations:
    """Conversations read in the order of their lines.

    Args:
        lines: JSON lines with `messages`.
        encode: the tokenizer; it must know the special tokens that the template writes.
        render: the template.
        end: what ends an answer, such as <|im_end|>; learned with it.
        answers_only: whether only the assistant's answers are learned.
    """

    def __init__(
        self, lines: Lines, encode: Encode, render: Render, end: str, answers_only: bool = True
    ) -> None:
        self.path = lines.path
        self._lines, self._encode, self._render = lines, encode, render
        self._end, self._answers_only = end, answers_only
        self._ahead: dict[int, Tokens] = {}

    def __len__(self) -> int:
        """Conversations in one pass."""
        return len(self._lines)

    def tokens(self, number: int) -> Tokens:
        """Conversation `number` without a token before or after it: a chat begins with its first turn.

        Raises:
            TextError: as `Lines.value`.
            TrainingError: as `split_answers`.
        """
        if number not in self._ahead:
            numbers = range(number, number + ENCODE_BATCH)
            found = [
                split_answers(self._lines.value(n, "messages"), self._render, self._end) for n in numbers
            ]
            encoded = iter(self._encode([text for conversation in found for text, _ in conversation]))
            self._ahead = {
                each: self._labelled([(next(encoded), learned) for _, learned in conversation])
                for each, conversation in zip(numbers, found, strict=True)
            }
        return self._ahead[number]

    def _labelled(self, pieces: list[tuple[list[int], bool]]) -> Tokens:
        ids = [token for piece, _ in pieces for token in piece]
        kept = [learned or not self._answers_only for piece, learned in pieces for _ in piece]
        labels = [token if learned else IGNORED for token, learned in zip(ids, kept, strict=True)]
        return Tokens(ids[:-1], labels[1:])


def split_answers(messages: Sequence[Message], render: Render, end: str) -> list[tuple[str, bool]]:
    """What `render` gives, in parts; True for an answer and its end.

    Raises:
        TrainingError: the template leaves an answer out, or changes what comes after it.
    """
    whole = render(list(messages))
    found: list[tuple[str, bool]] = []
    done = 0
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        marked = render([*messages[:place], {**message, "content": _MARK}, *messages[place + 1 :]])
        before, mark, after = marked.partition(_MARK)
        start, stop = _alike(before, whole), len(whole) - len(after)
        if not mark or not whole.endswith(after) or not done <= start <= stop:
            raise TrainingError(
                "the chat template of the tokenizer does not show where an answer is; "
                "set training.answers_only to false, or training.instruction_share to 0"
            )
        stop += len(end) if whole.startswith(end, stop) else 0
        found += [(whole[done:start], False), (whole[start:stop], True)]
        done = stop
    return [(text, learned) for text, learned in [*found, (whole[done:], False)] if text]


def _alike(first: str, second: str) -> int:
    """The number of characters with which both begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))


def template(tokenizer: Any) -> Render:
    """The chat template of a transformers tokenizer.

    Raises:
        TrainingError: it has none.
    """
    if not tokenizer.chat_template:
        raise TrainingError(
            "the tokenizer has no chat template for instructions; set training.instruction_share to 0"
        )

    def render(messages: list[Message]) -> str:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False)
        return text

    return render
