"""What can be refused before the first stage is refused here, before anything is written."""

import os
import shutil
from collections.abc import Collection
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache

from ekle.artifacts import Stage
from ekle.bpe.base import BaseTokenizer, load_base
from ekle.bpe.chat_templates import default_template
from ekle.errors import (
    CheckpointError,
    InputError,
    RecipeError,
    SpaceError,
    TextError,
    TokenizerError,
    TrainingError,
)
from ekle.files import read_json, short_names
from ekle.page.formatting import size
from ekle.planning.gpus import gpu_of_size
from ekle.planning.plan import memory_shortage, plan_as_configured
from ekle.planning.shapes import shape_of
from ekle.recipe import Recipe
from ekle.recipe.corpus import CorpusSettings
from ekle.text.conversation_rows import conversations
from ekle.text.conversations import Findings
from ekle.text.documents import local_files
from ekle.text.rows import hub_source

_TINY_BYTES_A_NUMBER = 4  # the tiny model is float32
_HUB_ROWS = 1000  # of instructions; the corpus stage streams them all once more


def preflight(recipe: Recipe, stages: Collection[Stage], folder: Path) -> list[str]:
    """Check what the run of `stages` in `folder` will need.

    Returns:
        What the run cannot keep of the instructions, a line for each kind.

    Raises:
        RecipeError: settings contradict each other.
        TextError: a data set of the hub is not to be had, or gold or pairs are in no form that is known.
        TokenizerError, InputError: the base tokenizer or model, or the tracker, is not to be had; a task file
            has a fault, or a text the name that all of them together have.
        CheckpointError: the model is quantised, or its folder holds no safetensors, does not fit the
            tokenizer, or contradicts its config.json; or the rule for new rows runs it and memory lacks.
        SpaceError: the copies of the model that will be written do not fit the disk.
        TrainingError: the GPU of this machine cannot hold what training needs, or the chat template cannot
            write an instruction.
    """
    _check_quotas(recipe)
    _check_mixture(recipe)
    if {"training", "control"}.intersection(stages):
        _check_tracker(recipe.training.tracker)
    if "corpus" in stages:
        for source in (*recipe.corpus.sources, *recipe.corpus.replay, *recipe.corpus.instructions):
            _check_hub_text(source)
    if "evaluation" in stages:
        from ekle.evaluation.plan import check_text_names, read_named_files  # with torch

        read_named_files(recipe.evaluation)
        check_text_names(_measured_texts(recipe.corpus) if "corpus" in stages else ())
    base = load_base(recipe.base.tokenizer, recipe.base.revision)
    if recipe.training.instruction_share and not _chat_template(recipe, base)[0]:
        raise TokenizerError(
            f"{base.name} has no chat template to write instructions with; "
            "set training.instruction_share to 0"
        )
    rows = base.rows
    model_bytes = _model_bytes(recipe, rows)
    if "base" in stages and Path(recipe.base.model).is_dir():
        _check_weights(Path(recipe.base.model))
    if "extension" in stages and recipe.extension.runs_base:
        _check_rule(recipe)
    copies = len({"extension", "release"}.intersection(stages))
    _check_space(folder, copies, round(model_bytes * (1 + recipe.vocabulary.size / rows)))
    if {"training", "control"}.intersection(stages):
        _check_gpu(recipe)
    return _check_instructions(recipe, base) if {"corpus", "training", "control"}.intersection(stages) else []


def _check_weights(folder: Path) -> None:
    """Compare config.json with the names and shapes of the weights, which takes a second and no memory."""
    from ekle.model.checkpoint.loading import check_complete, superfluous_head  # with torch
    from ekle.model.checkpoint.weights import open_weights

    with open_weights(folder) as weights:
        superfluous_head(weights)
        check_complete(weights)


def _check_gpu(recipe: Recipe) -> None:
    """Plan the training for the GPU that is here, before hours are spent on what leads up to it."""
    from ekle.model.device import first_gpu  # with torch

    found = first_gpu()
    if found is None:
        return
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # as torchrun says
    shape = shape_of(recipe)
    plan = plan_as_configured(recipe, shape, gpu_of_size(*found), processes)
    shortage = memory_shortage(plan, recipe, shape)
    if shortage is not None:
        raise TrainingError(shortage)


def _check_rule(recipe: Recipe) -> None:
    """A rule that runs the base needs a device that holds it."""
    from ekle.model.device import frozen_precision, inference_device, memory_bytes  # with torch

    try:
        shape = shape_of(recipe)
    except (InputError, CheckpointError):
        return  # a kind of model that is not counted; the rule finds out when it loads it
    device, _ = inference_device()
    needed = shape.parameter_count * frozen_precision(device, shape.hidden).itemsize
    if needed > (memory := memory_bytes()):
        raise CheckpointError(
            f"the rule {recipe.extension.init} runs {recipe.base.model}, which needs {size(needed)} of "
            f"memory, and there are {size(memory)}; take a rule that does not, such as "
            "--set extension.init=subword, or a smaller base.model"
        )


def _check_quotas(recipe: Recipe) -> None:
    """The categories of the `guide` strategy must add up to the size."""
    if recipe.vocabulary.strategy == "guide":
        quotas = recipe.vocabulary.quotas
        total = quotas.words + quotas.suffixes + quotas.roots + quotas.complex + quotas.patterns
        size = recipe.vocabulary.size
        if total != size:
            raise RecipeError(f"vocabulary.size is {size:,} but vocabulary.quotas add up to {total:,}")


def _check_mixture(recipe: Recipe) -> None:
    """What training is to mix must be named in the corpus."""
    corpus, training = recipe.corpus, recipe.training
    if training.instruction_share and not corpus.instructions:
        raise RecipeError(
            f"training.instruction_share is {training.instruction_share:g} but corpus.instructions names none"
        )
    weights, sources = training.source_weights, corpus.sources
    if weights and (set(weights) != set(sources) or len(set(sources)) < len(sources)):
        raise RecipeError(
            "training.source_weights must name each entry of corpus.sources once; "
            f"they are {', '.join(sources)}, the weights are for {', '.join(weights)}"
        )


def _check_instructions(recipe: Recipe, base: BaseTokenizer) -> list[str]:
    """Write every conversation as training will, and of a data set of the hub the first rows."""
    if not recipe.training.instruction_share:
        return []
    from ekle.training.data.chat_template import chat_template, check_conversations  # with transformers

    text, name = _chat_template(recipe, base)
    template = chat_template(text, base.config, name)
    read = (
        islice(conversations([source], Findings()), _HUB_ROWS if source.startswith("hf:") else None)
        for source in recipe.corpus.instructions
    )
    found = check_conversations(template, chain.from_iterable(read), recipe.training.answers_only)
    return [f"corpus.instructions: {line}" for line in found.lines()]


def _chat_template(recipe: Recipe, base: BaseTokenizer) -> tuple[str | None, str]:
    """The template that the extended model will have: the model's, or else the tokenizer's; and its name."""
    folder = Path(recipe.base.model)
    own = default_template(folder) if folder.is_dir() else None
    return (own, recipe.base.model) if own else (base.chat_template, base.name)


def _check_tracker(name: str) -> None:
    """Look for the tracker's package before training starts, which may be hours from now."""
    if name != "none" and find_spec(name) is None:
        raise InputError(
            f'training.tracker = "{name}" needs the package {name}: install it, or set the tracker to "none"'
        )


def _measured_texts(corpus: CorpusSettings) -> list[str]:
    """Names of the local files of which something may be held out."""
    sources = [*corpus.sources, *corpus.replay] if corpus.held_out else []
    files = local_files([*sources, *corpus.held_out_files, *corpus.other_files])
    return short_names(files)


def _check_hub_text(source: str) -> None:
    """Ask the hub for a data set before anything else is read for hours."""
    if not source.startswith("hf:") or Path(name := hub_source(source).name).exists():
        return
    try:
        HfApi().dataset_info(name)
    except Exception as error:  # the hub client raises many unrelated types; each means "not to be had"
        raise TextError(
            f"the hub did not give {source} ({type(error).__name__}); check the name and the network"
        ) from error


def _model_bytes(recipe: Recipe, rows: int) -> int:
    """Size of the base model's weights; an underestimate where the hub is not asked."""
    name = recipe.base.model
    if name == "tiny":
        tiny = recipe.base.tiny
        return rows * tiny.hidden_size * (1 if tiny.tied else 2) * _TINY_BYTES_A_NUMBER
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{name} holds no model: config.json is missing")
        model_rows = read_json(folder / "config.json").get("vocab_size")
        if model_rows != rows:
            raise CheckpointError(
                f"the model {name} has {model_rows} embedding rows, the tokenizer {recipe.base.tokenizer} "
                f"was made for {rows}; give a base.model and a base.tokenizer that fit"
            )
        weights = list(folder.glob("*.safetensors"))
        if not weights:
            raise CheckpointError(
                f"{name} holds no *.safetensors; convert the model, ekle reads nothing else"
            )
        return sum(path.stat().st_size for path in weights)
    return _hub_bytes(name, recipe.base.revision)


def _hub_bytes(name: str, revision: str | None) -> int:
    """Size of a hub model's weights; 0 where the model is in the cache, which needs no network.

    Raises:
        CheckpointError: the weights are quantised.
    """
    from ekle.model.checkpoint.weights import check_unquantised  # with torch

    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"there is no model folder {name}; give tiny, a folder, or a hub id such as Qwen/Qwen3-8B"
        )
    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        check_unquantised(name, read_json(Path(cached)))
        return 0
    try:
        found = HfApi().model_info(name, revision=revision, files_metadata=True)
    except Exception as error:  # the hub client raises many unrelated types; each means "not to be had"
        raise InputError(
            f"the model {name} is no folder, and the hub did not give it ({type(error).__name__}); "
            "check the name and the network"
        ) from error
    check_unquantised(name, found.config or {})
    return sum(file.size or 0 for file in found.siblings or [] if file.rfilename.endswith(".safetensors"))


def _check_space(folder: Path, copies: int, copy_bytes: int) -> None:
    """Compare the model copies still to be written with what the disk has left."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if copies * copy_bytes > free:
        raise SpaceError(
            f"{folder} needs at least {copies * copy_bytes / 1e9:,.1f} GB for {copies} copies of the model, "
            f"the disk has {free / 1e9:,.1f} GB left; free some or choose another disk with --runs"
        )
