"""Instructions: the conversations of a corpus as tokens, of which the answers are learned."""

from pydantic import ValidationError

from ekle.errors import TextError
from ekle.model.layers.loss import IGNORED
from ekle.text.conversations import Conversation
from ekle.training.data.chat_template import ChatTemplate
from ekle.training.data.documents import ENCODE_BATCH, Encode, Lines, Tokens


class Conversations:
    """Conversations read in the order of their lines.

    Args:
        lines: JSON lines that the corpus stage wrote.
        encode: the tokenizer; it must know the special tokens that the template writes.
        template: the chat template.
        answers_only: whether only the assistant's answers are learned.
    """

    def __init__(
        self, lines: Lines, encode: Encode, template: ChatTemplate, answers_only: bool = True
    ) -> None:
        self.path = lines.path
        self._lines, self._encode, self._template = lines, encode, template
        self._answers_only = answers_only
        self._ahead: dict[int, Tokens] = {}

    def __len__(self) -> int:
        """Conversations in one pass."""
        return len(self._lines)

    def tokens(self, number: int) -> Tokens:
        """Conversation `number` without a token before or after it: a chat begins with its first turn.

        Raises:
            TextError: as `Lines.record`, or the line is no conversation.
            TrainingError: as `ChatTemplate.pieces`.
        """
        if number not in self._ahead:
            numbers = range(number, number + ENCODE_BATCH)
            found = [self._template.pieces(self._read(each), self._answers_only) for each in numbers]
            encoded = iter(self._encode([text for pieces in found for text, _ in pieces]))
            self._ahead = {
                each: _labelled([(next(encoded), learned) for _, learned in pieces])
                for each, pieces in zip(numbers, found, strict=True)
            }
        return self._ahead[number]

    def _read(self, number: int) -> Conversation:
        try:
            return Conversation.model_validate(self._lines.record(number))
        except ValidationError as error:
            raise TextError(
                f"{self.path} has a line that is no conversation; make it again with ekle run RECIPE "
                "--redo corpus"
            ) from error


def _labelled(pieces: list[tuple[list[int], bool]]) -> Tokens:
    ids = [token for piece, _ in pieces for token in piece]
    kept = [learned for piece, learned in pieces for _ in piece]
    labels = [token if learned else IGNORED for token, learned in zip(ids, kept, strict=True)]
    return Tokens(ids[:-1], labels[1:])
