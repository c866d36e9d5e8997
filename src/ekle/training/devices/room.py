"""Before training starts on a GPU: the plan, held against the memory that is there."""

from dataclasses import replace

from ekle.artifacts import ExtendedModel
from ekle.errors import TrainingError
from ekle.model.gpu import gpu_here
from ekle.page.wording import size
from ekle.planning.gpus import sized_gpu
from ekle.planning.plan import as_it_stands, shortage_of, with_new_rows
from ekle.planning.shapes import read_shape
from ekle.progress import Report
from ekle.recipe import Recipe
from ekle.training.step_batch import StepBatch


def sequences_at_once(
    recipe: Recipe, extended: ExtendedModel, sizes: StepBatch, processes: int, report: Report
) -> int:
    """Sequences of a batch that go through at once, by plan; without a GPU as many as the recipe allows.

    What the plan cannot know, gaps between tensors, is left to the way back that training has when memory
    runs out, so only what cannot fit is refused.

    Raises:
        TrainingError: the tensors of single sequences exceed the memory of the GPU; the lines of the plan
            are said before.
    """
    settings, found = recipe.training, gpu_here()
    allowed = settings.micro_batch_size
    if found is None:
        return sizes.batch_size if allowed == "auto" else min(allowed, sizes.batch_size)
    shape = read_shape(extended.model / "config.json")
    shared = {"batch_size": sizes.batch_size, "gradient_accumulation": sizes.accumulation}
    recipe = recipe.model_copy(update={"training": settings.model_copy(update=shared)})
    recipe = with_new_rows(recipe, shape.rows - extended.first_new_id)
    shape, gpu = replace(shape, rows=extended.first_new_id), sized_gpu(*found)
    plan = as_it_stands(recipe, shape, gpu, processes)
    shortage = shortage_of(plan, recipe, shape)
    if shortage is not None:
        report.say(f"what a step needs, {plan.highest.name}, with single sequences:")
        for part in (*plan.always, *plan.highest.parts):
            report.say(f"  {size(part.bytes):>9}  {part.name}: {part.formula}", bytes=part.bytes)
        raise TrainingError(shortage)
    count = plan.case.micro_batch
    report.say(
        f"by plan {size(plan.needed)} of {size(gpu.bytes)} on {gpu.name}, {count} sequences at once",
        needed_bytes=plan.needed,
        gpu_bytes=gpu.bytes,
        at_once=count,
    )
    return count
