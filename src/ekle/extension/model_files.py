"""The files of an extended model beside its weights: settings, tokenizer, chat templates, licence."""

import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ekle.bpe.chat_templates import read_templates, write_templates
from ekle.bpe.graft import with_rows
from ekle.bpe.opening import read_specification
from ekle.bpe.special_tokens import (
    differing_ids,
    end_of_text_by_id,
    portable_config,
    read_tokenizer_config,
    with_special_tokens_of,
)
from ekle.errors import CheckpointError
from ekle.files import atomic_file, read_json_object, write_json
from ekle.model.checkpoint.companions import Companions, companions
from ekle.model.checkpoint.weights import read_config_json
from ekle.progress import ProgressReporter, silent

_GENERATION = "generation_config.json"


def copy_config_and_tokenizer(
    tokenizer: Path,
    base: Path,
    model: Path,
    rows: int,
    weights: Collection[str] = (),
    reporter: ProgressReporter | None = None,
) -> Companions:
    """Write all files but the weights into the folder `model`.

    From the base come config.json (with `vocab_size` set to `rows`), generation_config.json, the settings and
    special tokens of its tokenizer, the chat templates and the licence. From the folder `tokenizer` comes
    tokenizer.json, with a placeholder for each row that has no token, and what the base has not. Files of a
    slow tokenizer are left out, because they would contradict tokenizer.json. So are code and all other files
    (see `companions`).

    Where the base's own files name different special tokens, they are made to agree, and that is said.
    config.json also says in the words of transformers 4 what transformers 5 has written in its own.

    Args:
        tokenizer: the tokenizer folder of the vocabulary.
        base: the model folder that is extended.
        model: the folder to write to; it exists.
        rows: embedding rows of the extended model.
        weights: names of the base's files of weights.
        reporter: is told what was left out or made to agree.

    Returns:
        What lies beside the base's weights.

    Raises:
        CheckpointError: config.json has no single `vocab_size`.
        InputError: a file of the base is damaged.
        TokenizerError: the tokenizer, or a chat template of the base, is damaged.
    """
    reporter = reporter or silent()
    found = companions(base, weights)
    for path in found.part:
        shutil.copyfile(path, model / path.name)
    ids = _write_tokenizer(tokenizer, model, rows)
    config = read_config_json(base)
    settings, unknown = portable_config(_settings(tokenizer, base, ids, config), ids)
    settings.pop("chat_template", None)
    write_json(model / "tokenizer_config.json", settings)
    write_templates(model, read_templates(base) or read_templates(tokenizer))
    if unknown:
        reporter.say(
            f"Left out of tokenizer_config.json, as the tokenizer has no such tokens: {', '.join(unknown)}"
        )
    changed = differing_ids(settings, ids, config)
    with atomic_file(model / "config.json") as temporary:
        text = _config_text(base, rows, {**_rotary_settings(config), **changed})
        temporary.write_text(text, encoding="utf-8")
    if (base / _GENERATION).is_file():
        generation = read_json_object(base / _GENERATION)
        if other := differing_ids(settings, ids, generation):
            write_json(model / _GENERATION, {**generation, **other})
            changed |= {f"{key} of {_GENERATION}": value for key, value in other.items()}
    if changed:
        told = ", ".join(f"{key} is {value}" for key, value in changed.items())
        reporter.say(
            f"The base's files name different special tokens; in the extended model {told}", **changed
        )
    return found


def _write_tokenizer(tokenizer: Path, model: Path, rows: int) -> dict[str, int]:
    """Write tokenizer.json for `rows` rows; returns the id of every token."""
    spec = read_specification(tokenizer / "tokenizer.json")
    vocab = spec["model"]["vocab"]
    if max(vocab.values()) + 1 == rows:
        shutil.copyfile(tokenizer / "tokenizer.json", model / "tokenizer.json")
    else:
        with atomic_file(model / "tokenizer.json") as temporary:
            temporary.write_text(json.dumps(with_rows(spec, rows), ensure_ascii=False), encoding="utf-8")
    return {**vocab, **{token["content"]: token["id"] for token in spec["added_tokens"]}}


def _settings(tokenizer: Path, base: Path, ids: Mapping[str, int], config: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json: the base's, or the vocabulary's with what the base says in another place.

    A vocabulary may have been learned from another tokenizer with the same ids, such as "qwen3", whose text
    ends otherwise.
    """
    own = read_tokenizer_config(base)
    if (base / "tokenizer_config.json").exists():
        return own
    learned = read_tokenizer_config(tokenizer)
    return with_special_tokens_of(learned, own) if own else end_of_text_by_id(learned, ids, config)


def _config_text(base: Path, rows: int, changes: dict[str, Any]) -> str:
    """The base's config.json with another number of rows; no other byte differs unless `changes` has some."""
    text = (base / "config.json").read_text(encoding="utf-8")
    grown, count = re.subn(r'("vocab_size"\s*:\s*)\d+', rf"\g<1>{rows}", text)
    if count != 1 or json.loads(grown) != {**read_config_json(base), "vocab_size": rows}:
        raise CheckpointError(f"{base / 'config.json'} has no single vocab_size; ekle extends text models")
    if not changes:
        return grown
    return json.dumps({**json.loads(grown), **changes}, ensure_ascii=False, indent=2) + "\n"


def _rotary_settings(config: dict[str, Any]) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling` where config.json has `rope_parameters` alone, as of transformers 5.

    transformers 4 would take its default in silence, and run another model.
    """
    said = config.get("rope_parameters")
    if not isinstance(said, dict) or "rope_theta" not in said:  # or one of them for each kind of layer
        return {}
    scaling = {key: value for key, value in said.items() if key != "rope_theta"}
    found = {"rope_theta": said["rope_theta"]}
    if scaling.get("rope_type", "default") != "default":
        found["rope_scaling"] = scaling
    return {key: value for key, value in found.items() if key not in config}
