"""The part `texts`: what the models write, greedily, before and after."""

from pathlib import Path

import torch

from benchmarks.device import default_device
from benchmarks.real.parts import Result
from benchmarks.real.run import run_folder
from benchmarks.real.workspace import Workspace
from ekle.artifacts import Checkpoint
from ekle.errors import InputError
from ekle.evaluation.model.generation import generate_greedy
from ekle.model.checkpoint.merging import load_trained
from ekle.recipe.evaluation import EvaluationSettings

PROMPTS = (
    "Türkiye'nin en büyük şehri",
    "Sabah erkenden kalkıp",
    "Bilim insanları",
    "Bu filmi izledikten sonra",
    "Anadolu'da tarım,",
)


def keep_texts(space: Workspace) -> None:
    """Continue each prompt with the base, the extended model, and both trained models.

    Raises:
        InputError: the winner is not trained.
    """
    kept = space.parts.read("winner/seed 0")
    if kept is None:
        raise InputError("texts are those of the winner and its control; make the part winner first")
    at, base = run_folder(space), space.settled["tied"]
    control = Checkpoint(at.place("control"), has_new_rows=False)
    models: dict[str, tuple[Path, Checkpoint | None]] = {
        "settled base": (base, None),
        "extended, not trained": (at.extended.model, None),
        "extended, trained": (at.extended.model, at.checkpoint),
        "control": (base, control),
    }
    inputs = {
        "winner": kept["digest"],
        "prompts": list(PROMPTS),
        "tokens": space.size.continued_tokens,
    }
    settings = EvaluationSettings(prompts=list(PROMPTS), new_tokens=space.size.continued_tokens)

    def make() -> Result:
        found: Result = {}
        for name, (model, checkpoint) in models.items():
            loaded, tokenizer = load_trained(model, checkpoint, torch.float32, default_device())
            samples = generate_greedy(loaded.eval(), tokenizer, settings, space.reporter)
            found[name] = {sample.prompt: sample.text for sample in samples}
        return {"texts": found}

    space.parts.keep("texts", inputs, make)
