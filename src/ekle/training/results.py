"""What a training hands over: the weights, what became of the new tokens, and a summary, written last."""

import shutil
from pathlib import Path
from typing import Any

import torch

from ekle.files import whole_folder, write_json
from ekle.model.rows import read_rows
from ekle.training.run_state import RunState


def write_results(state: RunState, folder: Path, tokenizer: Any) -> None:
    """Write adapter/, new_rows.safetensors, new_tokens.jsonl, and training.json.

    The weights are those of the best evaluation; of the last step where there was none.

    Raises:
        CheckpointError: the weights are no longer there.
    """
    parts, watch = state.parts, state.watch
    source = parts.checkpoints.last() if watch.best_step is None else parts.checkpoints.best(watch.best_step)
    assert source is not None
    shutil.rmtree(folder / "adapter", ignore_errors=True)
    with whole_folder(folder / "adapter") as adapter:
        shutil.copytree(source / "adapter", adapter, dirs_exist_ok=True)
    rows = folder / "new_rows.safetensors"
    shutil.copyfile(source / rows.name, rows)
    kept, first = read_rows(rows).tensors["input"], parts.rows.first_new_id
    texts = [tokenizer.decode([number]) for number in range(first, first + len(kept))]
    parts.new_tokens.write(folder / "new_tokens.jsonl", kept, texts)
    device = state.meter.device
    write_json(
        folder / "training.json",
        {
            "steps": state.step,
            "steps_planned": parts.settings.steps,
            "stopped_early": state.step < parts.settings.steps,
            "weights_from_step": state.step if watch.best_step is None else watch.best_step,
            "best_bits_per_byte": watch.best,
            "went_back": state.guard.returns,
            "new_tokens": parts.new_tokens.figures(kept, lambda counts: counts),
            **state.cursor.figures(),
            "seconds": round(state.meter.all_seconds, 3),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "processes": state.processes,
            "precision": str(parts.precision).removeprefix("torch."),
            "settings": parts.record,
        },
    )
