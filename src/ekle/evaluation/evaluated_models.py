"""The models that are measured, loaded one at a time and only when something is left to measure."""

import gc
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers.utils import logging

from ekle.artifacts import Checkpoint
from ekle.artifacts.evaluation_report import ModelSize
from ekle.bpe.base import load_tokenizer
from ekle.errors import CheckpointError, DeviceMemoryError
from ekle.model.checkpoint.loading import load_config, superfluous_head
from ekle.model.checkpoint.merging import load_trained
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, open_weights
from ekle.model.device import inference_device
from ekle.model.scoring.logits_check import check_logits

_PLAIN = frozenset({"qwen3"})
"""Architectures whose logits are known to be last states times output rows."""


class EvaluatedModel:
    """A model under test.

    Args:
        name: one of `OURS`, or what the user calls it; a key of report.json.
        folder: model and tokenizer.
        checkpoint: what training changed, applied to `folder`; None for an unchanged model.
    """

    def __init__(self, name: str, folder: Path, checkpoint: Checkpoint | None = None) -> None:
        self.name, self.folder, self.checkpoint = name, folder, checkpoint

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """Model and tokenizer: bfloat16 on a GPU, float32 on a CPU.

        Raises:
            CheckpointError: the folder is no model, is damaged, or ekle would measure another model than the
                folder holds (see `check_logits`).
            DeviceMemoryError: it does not fit the device.
        """
        logging.disable_progress_bar()  # ekle has a bar of its own
        device, dtype = inference_device()
        with open_weights(self.folder) as weights:  # says best what is missing or damaged
            superfluous_head(weights)
        try:
            model, tokenizer = load_trained(self.folder, self.checkpoint, dtype, device)
            check_logits(model.eval(), tokenizer)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                f"the {self.name} model, {self.folder}, does not fit the GPU's memory; take a larger one, or "
                'measure on the CPU, with CUDA_VISIBLE_DEVICES="" before the command'
            ) from error
        return model, tokenizer

    def check(self) -> None:
        """See that every id of the tokenizer has an embedding, that config.json gives their number and ties
        both ends where the weights do, and that the model can be measured.

        A model of another architecture than Qwen3's is loaded for that. To find out after the models before
        it have been measured would be hours too late.

        Raises:
            CheckpointError: the folder is damaged, or one of these does not hold.
            DeviceMemoryError: the model had to be loaded and does not fit the device.
            TokenizerError: the folder holds no tokenizer.
        """
        highest = max(load_tokenizer(self.folder).get_vocab(with_added_tokens=True).values())
        with open_weights(self.folder) as weights:
            rows = weights.shape(INPUT_EMBEDDINGS)[0]
            superfluous_head(weights)
        if highest >= rows:
            raise CheckpointError(
                f"{self.folder} has {rows:,} embedding rows but a token with id {highest:,}; they do not "
                "belong together: take tokenizer and model from one ekle extend"
            )
        config = load_config(self.folder)
        expected = config.get_text_config().vocab_size
        if expected != rows:
            raise CheckpointError(
                f"{self.folder / 'config.json'} has vocab_size {expected:,} and the weights have {rows:,} "
                "embedding rows; they do not belong together"
            )
        if config.model_type not in _PLAIN:
            _ = self.loaded
            self.close()

    def size(self) -> ModelSize:
        """How many parameters the model has, how many of them are input and output embeddings, and how
        many bytes the folder's weights take.
        """
        model, _ = self.loaded
        rows = {id(item): item for part in _row_parts(model) for item in part.parameters()}
        with open_weights(self.folder) as weights:
            stored = weights.bytes()
        return ModelSize(
            parameters=sum(item.numel() for item in model.parameters()),
            row_parameters=sum(item.numel() for item in rows.values()),
            weight_bytes=stored,
        )

    def close(self) -> None:
        """Free the model's memory."""
        self.__dict__.pop("loaded", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_model(folder: Path) -> bool:
    """Whether `folder` holds a model and not a tokenizer alone."""
    return (folder / "config.json").is_file()


def _row_parts(model: Any) -> list[Any]:
    return [model.get_input_embeddings(), model.get_output_embeddings()]


_PADDING = 512
"""Embedding rows without a token by which models of one family may differ: Qwen3 has 267, Qwen2.5 up to
399."""


def check_tokenizer_matches(model: Path, tokenizer: Tokenizer, base: Path, *, recorded: bool) -> None:
    """See that the tokenizer in an extended model's folder reaches its new rows.

    With the base's tokenizer the model would run, but as if it had never been extended.

    Args:
        model: the extended model.
        tokenizer: the one in that folder.
        base: the model that it was made from.
        recorded: whether `ekle extend` has left its record; then every row has a token. Without one the new
            rows are those that the base does not have, as long as they are too many to be padding.

    Raises:
        CheckpointError: it does not, or a folder is damaged.
    """
    ids = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    rows, before = _rows(model), _rows(base)
    if ids < rows and (recorded or (ids <= before and rows - before > _PADDING)):
        raise CheckpointError(
            f"{model} has {rows:,} embedding rows, and no token of its tokenizer is for the last "
            f"{rows - max(ids, before):,}; take tokenizer and model from one ekle extend"
        )


def _rows(folder: Path) -> int:
    with open_weights(folder) as weights:
        return weights.shape(INPUT_EMBEDDINGS)[0]
