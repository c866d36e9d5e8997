"""The chat templates of a model folder, wherever it keeps them."""

from pathlib import Path
from typing import Any

from ekle.errors import TokenizerError
from ekle.files import atomic_file, read_json_object

_MAIN, _OTHERS = "chat_template.jinja", "additional_chat_templates"
_DEFAULT = "default"


def read_templates(folder: Path) -> dict[str, str]:
    """Each chat template by name; the main one is called "default".

    They are read as in transformers: from chat_template.jinja and additional_chat_templates/NAME.jinja.
    Without these, from `chat_template` in tokenizer_config.json, which is one text or a list of named ones.

    Raises:
        TokenizerError: `chat_template` in tokenizer_config.json is neither, or a file is not UTF-8.
        InputError: tokenizer_config.json is damaged.
    """
    files = {path.stem: path for path in sorted((folder / _OTHERS).glob("*.jinja"))}
    if (folder / _MAIN).exists():
        files[_DEFAULT] = folder / _MAIN
    if files:
        return {name: _read(path) for name, path in files.items()}
    config = folder / "tokenizer_config.json"
    given = read_json_object(config).get("chat_template") if config.exists() else None
    if given is None:
        return {}
    listed: list[Any] = [{"name": _DEFAULT, "template": given}] if isinstance(given, str) else given
    try:
        named = {entry["name"]: entry["template"] for entry in listed}
        valid = all(isinstance(text, str) and Path(name).name == name for name, text in named.items())
    except (TypeError, KeyError):
        valid = False
    if not valid:
        raise TokenizerError(f"chat_template in {config} is neither a text nor a list of names and templates")
    return named


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} is not UTF-8; convert it, or take it out of the folder") from error


def default_template(folder: Path) -> str | None:
    """The template that a conversation is written with, if there is one. Raises as `read_templates`."""
    return read_templates(folder).get(_DEFAULT)


def write_templates(folder: Path, templates: dict[str, str]) -> None:
    """Write each template into its own file, byte for byte."""
    for name, text in templates.items():
        path = folder / _MAIN if name == _DEFAULT else folder / _OTHERS / f"{name}.jinja"
        with atomic_file(path) as temporary:
            temporary.write_bytes(text.encode("utf-8"))
