"""The words of docs/plan.md."""

import io

from rich.console import Console

from ekle.planning.compute import SHARE_OF_PEAK
from ekle.planning.gpus import find_gpu, known_gpus
from ekle.planning.plan import Plan, make_plan
from ekle.planning.shapes import shape_of
from ekle.planning.terminal import render_plan
from ekle.recipe.recipe import load_recipe

_PAGE = """\
# Will it fit

`ekle plan RECIPE --gpu 40GB` says what a recipe needs before anything starts: memory, time, disk, each line
with its formula. `--gpu` takes a size or a name
({names});
without it the GPU of the machine is read, and where there is none, all known ones are compared. `--set` works
as everywhere, `--json FILE` writes the figures, `--gpus N` counts with N GPUs that share weights and states
(FSDP2).

The shape of the base comes from its config.json, or for the Qwen3 models from a table, so that neither
weights nor a hub are needed. Training on a GPU asks the same plan, `ekle run` before its first stage and
the training once more before it loads anything: where single sequences cannot fit, it ends with one line
that says what would help, and the log shows the lines of the plan; otherwise it takes the number of
sequences at once from the plan. If memory runs out all the same, half as many go through from then on.

## What is counted

Bytes of tensors, in the order in which the engine makes and drops them:

- **always there**: the frozen weights in bfloat16; new rows, adapters and their norms in float32; the
  optimiser's two averages, in float32 or with `training.state_precision = "bf16"` in half of that.
- **at the loss**: the gradients of earlier micro-batches, what the blocks keep for the backward pass (with
  activation checkpointing their inputs alone), one chunk of logits, the gradient of the new output rows.
- **in the backward pass**: the same without the logits, and one block's own tensors, made again where its
  input alone was kept.
- **in the optimiser's step**: gradients, and what it makes for the largest parameter.
- **as the norms are refreshed**, and **in an evaluation**.

The highest of these moments counts. On top stand two assumptions, which are said to be that: 0.6 GB for the
CUDA context and its libraries, and 3 % for gaps between tensors. Set
`PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True`, which keeps the gaps small. Hours are operations over 40
% of the maker's figure for dense products; that share is an assumption as well until it is measured.
FlashAttention is counted where the recipe names it. Not counted are Liger and compiled layers, which need
less, and the alignment phase, which the recipes leave out. What several GPUs share is counted by formula
alone and has not been held against a run.

## What is chosen

The number of sequences at once is chosen so that a step stays what the recipe says. Where single sequences
do not fit, activation checkpointing and then the state in bfloat16 are tried, and named as settings to give
with `--set`: neither is changed behind your back. Where nothing helps, the page names the largest rank and
the longest sequence that would fit, and the smallest GPU that is large enough.

A state in bfloat16 would stand still if it were rounded to the nearest: the curvature moves by 1 % at a
time, and the steps of bfloat16 are 0.4 % wide. So it is rounded by chance, in proportion, and is right on
average. An interrupted run goes on with the same chances.

## Qwen3-8B in 40 GB

The guide's recipe, DoRA of rank 512 on all seven projections and 20,000 rows at either end, has {learning}
billion numbers that learn. In float32, with their gradients and two averages, they take {learned} GB beside
{frozen} GB of frozen weights: {state} GB before the first token. What makes it fit:

- new rows as parameters of their own, so that the {rows} billion numbers of the frozen row matrices have no
  gradient, no state and no copy;
- averages in bfloat16, {saved} GB less (`state_precision` in the recipe);
- {at_once} sequences at once out of eight, with activation checkpointing, instead of a batch;
- {logits} GB of logits instead of the {all_logits} GB of a batch.

`ekle plan qwen3-8b-turkish --gpu 40GB`:

```
{plan}
```

The guide names 8 to 12 hours on an A100 and leaves the length of a sequence open. At {share:.0%} of its
speed, the recipe's 2,000 steps of 32 sequences of {length:,} tokens take {hours:.1f}; with `--set
training.sequence_length={longer_length}` the plan says {longer:.1f}.

## Plan and measurement

Bytes of all tensors at the peak of a step, by plan and as counted (`python -m benchmarks.steps --whole
--out docs/plan.md` writes this page). The rows of the small models have memory behind them; those named
after a recipe run the same code on tensors that have a shape and no memory, in bfloat16 and with the chunks
of a GPU. Real training, evaluations and checkpoints included, is compared in
`tests/planning/test_measured.py`; PyTorch's profiler, which sees every allocation, agrees there with the
count.

{table}

What none of this shows is a real GPU: gaps between tensors, the room that a kernel takes within one
operation, and speed. The command for one, with PEFT's DoRA in transformers' Trainer beside it, in the same
run:

```
python -m benchmarks.steps.throughput
```

It trains Qwen3-8B with random weights and 171,936 rows under the guide's recipe and the recommended one,
holds PyTorch to 40 GB, and prints tokens a second, the share of the device's peak, and the peak memory
beside the plan's. **It has not been run on a GPU yet.**
"""


def page(table: str) -> str:
    """The page around the table of measurements, with the plan as it is now."""
    plan = _plan()
    longer = 2 * plan.case.training.sequence_length
    case, fp32 = plan.case, _plan("training.state_precision=fp32").case
    billions, gigabytes = f"{case.learning / 1e9:.2f}", 1e9
    learned, frozen = 16 * fp32.learning, case.shape.parameter_count * case.width
    matrices = case.shape.embedding_matrices * case.shape.rows * case.shape.hidden
    whole_batch = case.training.batch_size * case.training.sequence_length * case.total_rows * 4
    logits = next(part for part in plan.peak.parts if part.name == "logits of a chunk")
    return _PAGE.format(
        table=table,
        names=", ".join(gpu.name for gpu in known_gpus()),
        learning=billions,
        learned=f"{learned / gigabytes:.1f}",
        frozen=f"{frozen / gigabytes:.1f}",
        state=f"{(learned + frozen) / gigabytes:.1f}",
        rows=f"{matrices / 1e9:.1f}",
        saved=f"{4 * case.learning / gigabytes:.1f}",
        at_once=case.micro_batch,
        logits=f"{logits.bytes / gigabytes:.1f}",
        all_logits=f"{whole_batch / gigabytes:.0f}",
        plan=_shown(plan),
        share=SHARE_OF_PEAK,
        hours=_hours(plan),
        length=case.training.sequence_length,
        longer_length=longer,
        longer=_hours(_plan(f"training.sequence_length={longer}")),
    )


def _plan(*changes: str) -> Plan:
    recipe = load_recipe("qwen3-8b-turkish", changes)
    return make_plan(recipe, shape_of(recipe), find_gpu("40GB"))


def _shown(plan: Plan) -> str:
    console = Console(width=118, record=True, file=io.StringIO())
    console.print(render_plan(plan))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def _hours(plan: Plan) -> float:
    return sum(compute.seconds for compute in plan.compute) / 3600
