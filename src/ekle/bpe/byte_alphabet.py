"""The printable characters that byte-level BPE writes for raw bytes.

tokenizer.json cannot hold arbitrary bytes in strings, so each of the 256 byte values is written as
one printable character: printable Latin-1 bytes as themselves, the others as U+0100 upwards
(Radford et al. 2019, the GPT-2 encoder).
"""

from functools import cache


@cache
def byte_to_char() -> tuple[str, ...]:
    """The character that stands for each byte value, indexed by the byte."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    code = 0x100
    table: list[str] = []
    for byte in range(256):
        if byte in printable:
            table.append(chr(byte))
        else:
            table.append(chr(code))
            code += 1
    return tuple(table)


@cache
def char_to_byte() -> dict[str, int]:
    """The inverse of `byte_to_char`."""
    return {char: byte for byte, char in enumerate(byte_to_char())}


def encode_bytes(data: bytes) -> str:
    """Raw bytes as a token string of tokenizer.json."""
    table = byte_to_char()
    return "".join(table[byte] for byte in data)


def decode_token(token: str) -> bytes:
    """The raw bytes of a token string.

    Raises:
        KeyError: the string holds a character that stands for no byte.
    """
    table = char_to_byte()
    return bytes(table[char] for char in token)


def in_byte_alphabet(token: str) -> bool:
    """Whether a token string is written in the byte alphabet; no text becomes another one by merges."""
    return char_to_byte().keys() >= set(token)


def token_text(token: bytes) -> str | None:
    """The text that raw bytes spell; None where they begin or end inside a UTF-8 character."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return None


def merged_token(left: bytes | None, right: bytes | None) -> bytes | None:
    """The bytes of two tokens joined; None where they are half a UTF-8 character, or one of the two has no
    bytes."""
    if left is None or right is None or token_text(left + right) is None:
        return None
    return left + right
