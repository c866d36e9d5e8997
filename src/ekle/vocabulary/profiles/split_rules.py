"""A second pre-tokenizer stage that splits words in two: the rules, and their regex in tokenizer.json.

The regex goes into a `Split` after the base's own and sees one pre-token at a time. It matches the part
before the split and looks ahead over the rest, so `Isolated` leaves two parts; a match of the whole pre-token
leaves it whole. The first of these that fits applies:

1. a word of the lists `whole` (in either case of the first letter) and `forms` (as spelled) stays as it is;
2. a word of the list `positions` is split where the list says;
3. any other word is split after the longest of `roots` that one of the root's `endings` follows.

Lists become tries of alternatives. The endings of a class are written once, as a named group that is called
where a root ends (`\\g<name>`, which Oniguruma has), so that the size is roots plus endings, not roots times
endings. The engine tries alternatives one after the other, so the likelier letters come first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ekle.turkish import casing
from ekle.turkish.analysis import APOSTROPHES

# The character that Qwen's pre-tokenizer leaves before a word (what follows an apostrophe is a suffix), and a
# look-ahead that ends the search early for short words.
_BEFORE = r"\A[^\r\n\p{L}\p{N}'’]?(?=\p{L}{4})"

_SINGLE, _GROUPED = 3, 5  # alternatives of a wide node: three by themselves, then in groups of five


@dataclass(frozen=True)
class SplitRules:
    """Where words are split. Everything is lower case; in text, the first letter may be upper case."""

    whole: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    """Words that stay whole in exactly this spelling: a frequent word may be rare with a capital letter."""
    positions: Mapping[str, int] = field(default_factory=dict)
    """Words, and the number of their letters before the split."""
    roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Roots, and the names of the classes of endings that may follow."""
    endings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Classes of endings by name; names are letters and digits."""

    def position(self, word: str) -> int | None:
        """Letters before the split of lower-case `word`; None where it stays whole."""
        if word in self.whole:
            return None
        listed = self.positions.get(word)
        return listed if listed is not None else self.position_by_root(word)

    def position_by_root(self, word: str) -> int | None:
        """Letters before the split of `word` by the third rule alone."""
        for length in range(min(len(word) - 1, self._longest_root), 0, -1):
            classes = self.roots.get(word[:length])
            if classes is not None and any(word[length:] in self.endings[name] for name in classes):
                return length
        return None

    @cached_property
    def _longest_root(self) -> int:
        return max(map(len, self.roots), default=0)

    def split(self, pre_token: str) -> list[str]:
        """The parts of a pre-token: the slow, clear reference implementation of `regex`."""
        if pre_token[:1] in APOSTROPHES:
            return [pre_token]
        start = 0 if pre_token[:1].isalpha() else 1
        first = pre_token[start : start + 1]
        word = casing.lower(first) + pre_token[start + 1 :]
        position = self.position(word) if word.isalpha() else None
        if position is None or pre_token[start:] in self.forms:
            return [pre_token]
        return [pre_token[: start + position], pre_token[start + position :]]

    def regex(self, weights: Mapping[str, float] | None = None) -> str:
        """The rules as one regular expression for Oniguruma.

        Args:
            weights: how often words occur, to put the likely alternatives first; what is matched does
                not depend on it.
        """
        weights = weights or {}
        # Longer matches come first in a trie, so a listed position before the one that the third rule finds
        # needs a trie of its own, before the other.
        early, trie = _Node(), _Node()
        ahead = {
            word for word, position in self.positions.items() if (self.position_by_root(word) or 0) > position
        }
        rests: dict[tuple[bool, str], set[str]] = {}
        for word, position in self.positions.items():
            rests.setdefault((word in ahead, word[:position]), set()).add(word[position:])
            (early if word in ahead else trie).at(word, weights.get(word, 0.0), upto=position)
        for (first, root), ends in rests.items():
            (early if first else trie).at(root).actions.add(f"(?={_words(ends)}\\z)")
        for word in self.whole:
            (early if word in ahead else trie).at(word, weights.get(word, 0.0)).actions.add(r"\z")
        lengths: set[int] = set()
        for form in self.forms:
            word = casing.lower(form[0]) + form[1:]
            case = "s" if form == word else "b"
            lengths.add(len(form))
            (early if word in ahead else trie).at(word).actions.add(f"\\g<{case}{len(form)}>")
        numbers = {classes: f"r{n}" for n, classes in enumerate(sorted(set(self.roots.values())))}
        for root, classes in self.roots.items():
            trie.at(root, weights.get(root, 0.0)).actions.add(f"\\g<{numbers[classes]}>")
        branches = [_render_root(node) for node in (early, trie) if node.children]
        if not branches:
            return r"(?!)"
        groups = {name: _words(ends) for name, ends in self.endings.items()}
        for classes, number in numbers.items():
            calls = "|".join(f"\\g<{name}>" for name in classes)
            groups[number] = f"(?=(?:{calls})\\z)"
        for length in lengths:
            groups[f"s{length}"] = f"\\z(?<=\\p{{Ll}}.{{{length - 1}}})"
            groups[f"b{length}"] = f"\\z(?<=\\p{{Lu}}.{{{length - 1}}})"
        definitions = "".join(f"(?<{name}>{body}){{0}}" for name, body in sorted(groups.items()))
        return f"{_BEFORE}(?:{'|'.join(branches)}){definitions}"


def insert_split(base: Mapping[str, Any], regex: str) -> dict[str, Any]:
    """The base's `pre_tokenizer` with a Split by `regex` put before its ByteLevel part."""
    parts = list(base["pretokenizers"]) if base.get("type") == "Sequence" else [dict(base)]
    position = next(i for i, part in enumerate(parts) if part["type"] == "ByteLevel")
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [*parts[:position], split, *parts[position:]]}


class _Node:
    """A node of a trie; `actions` are what may end a match here."""

    __slots__ = ("actions", "children", "weight")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.actions: set[str] = set()
        self.weight = 0.0

    def at(self, word: str, weight: float = 0.0, upto: int | None = None) -> "_Node":
        """The node of the first `upto` letters of `word`; those on the way grow heavier by `weight`."""
        node = self
        for letter in word[:upto]:
            node.weight += weight
            node = node.children.setdefault(letter, _Node())
        node.weight += weight
        return node


def _words(words: Iterable[str]) -> str:
    """A group that matches exactly the given words."""
    root = _Node()
    for word in words:
        root.at(word, 1.0).actions.add("")
    return f"(?:{_render(root)})"


def _render_root(node: _Node) -> str:
    """The alternatives of a trie of words, whose first letter may be upper case."""
    return _choice([(letter + casing.upper(letter), _group(child)) for letter, child in _in_order(node)])


def _render(node: _Node) -> str:
    """The alternatives of a node, longer matches first."""
    same: dict[str, str] = {}  # letters whose continuation is the same, by that continuation
    for letter, child in _in_order(node):
        rest = _group(child)
        same[rest] = same.get(rest, "") + letter
    branches = [_choice([(letters, rest) for rest, letters in same.items()])] if same else []
    branches += sorted(action for action in node.actions if action)
    if "" in node.actions:
        branches.append("")
    return "|".join(branches)


def _choice(branches: list[tuple[str, str]]) -> str:
    """One of the letters, and what follows; rarer letters are in groups that one look-ahead skips."""
    texts = [(letters if len(letters) == 1 else f"[{letters}]") + rest for letters, rest in branches]
    if len(branches) <= _SINGLE + _GROUPED:
        return "|".join(texts)
    parts = texts[:_SINGLE]
    for at in range(_SINGLE, len(branches), _GROUPED):
        letters = "".join(letters for letters, _ in branches[at : at + _GROUPED])
        group = "|".join(texts[at : at + _GROUPED])
        parts.append(f"(?=[{letters}])(?:{group})" if at + 1 < len(branches) else group)
    return "|".join(parts)


def _group(node: _Node) -> str:
    body = _render(node)
    if not node.children and len(node.actions) == 1:
        return body
    if node.actions == {""} and node.children:
        return f"(?:{body.removesuffix('|')})?"
    if not node.actions and len(node.children) == 1:
        return body
    return f"(?:{body})"


def _in_order(node: _Node) -> list[tuple[str, "_Node"]]:
    return sorted(node.children.items(), key=lambda item: (-item[1].weight, item[0]))
