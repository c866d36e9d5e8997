"""docs/plan.md: the text around the table of benchmarks.steps.memory."""

import io

from rich.console import Console

from benchmarks.markdown import wrap
from ekle.planning.compute import SHARE_OF_PEAK
from ekle.planning.gpus import find_gpu, known_gpus
from ekle.planning.plan import Plan, make_plan
from ekle.planning.shapes import shape_of
from ekle.planning.terminal import render_plan
from ekle.recipe.recipe import load_recipe

_PAGE = """\
# Will it fit

`ekle plan RECIPE --gpu 40GB` says what a recipe needs before anything starts: memory, time and disk, each
line with its formula. `--gpu` takes a size or a name ({names}). Without it ekle plans for the GPU of the
machine, and if there is none, compares all known ones. `--set` works as everywhere, `--json FILE` writes the
figures, and `--gpus N` plans for N GPUs that share weights and states (FSDP2).

The shape of the base is read from its config.json, or for the Qwen3 models from a table, so neither weights
nor a hub are needed. Training on a GPU makes the same plan: `ekle run` before its first stage, and the
training stage again before it loads anything. If single sequences cannot fit, training ends with one line
that says what would help, and the log shows the lines of the plan. Otherwise it takes the micro-batch from
the plan. If memory runs out all the same, the micro-batch is halved from then on.

## What is counted

Bytes of tensors, in the order in which training allocates and frees them:

- **persistent**: the frozen weights in bfloat16, or in float32 on a GPU without it (T4, V100); new embedding
  rows, adapters and their norms in float32; the optimiser's two averages, in float32 or with
  `training.state_precision = "bf16"` in half of that.
- **at the loss**: the gradients of earlier micro-batches, what the blocks keep for the backward pass (with
  activation checkpointing only their inputs), one chunk of logits, the gradient of the new output
  embeddings.
- **in the backward pass**: the same without the logits, and one block's own tensors, recomputed where only
  its input was kept.
- **in the optimiser's step**: gradients, and temporary values for the largest parameter.
- **as the norms are refreshed**, and **in an evaluation**.

The largest of these sums counts. Two assumptions come on top and are named as such: 0.6 GB for the CUDA
context and its libraries, and 3 % for fragmentation, the gaps between tensors. Set
`PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True` to keep the gaps small. Hours are operations divided by
40% of the maker's figure for dense products; that share is an assumption, too, until it is measured.
FlashAttention is counted if the recipe names it. Liger and compiled layers are not counted; they need less.
The alignment phase is not counted either; the recipes do not use it. Of a rule for new rows that runs the
base, the time is counted as *new rows*, and not the memory. For several GPUs the plan has formulas only,
which no run has confirmed yet.

## What is chosen

The micro-batch: how many sequences of a batch are in memory at the same time. The step stays as the recipe
has it. If single sequences do not fit, the plan tries activation checkpointing and then a state in bfloat16,
and names them as settings for `--set`: it never changes the recipe by itself. If nothing helps, the plan
names the largest rank and the longest sequence that would fit, and the smallest GPU that is large enough.

A state in bfloat16 would not change at all with rounding to nearest: the curvature changes by 1 % per update,
and the values of bfloat16 are 0.4 % apart. So stochastic rounding is used, which is right on average. A
resumed run rounds in the same way.

## Qwen3-8B in 40 GB

The guide's recipe, DoRA of rank 512 on all seven projections and 20,000 new rows in both input and output
embeddings, has {learning} billion trainable parameters. In float32, with their gradients and two averages,
they take {learned} GB, and the frozen weights take {frozen} GB: {state} GB before the first token. It fits
because of:

- new rows as parameters of their own, so that the {rows} billion frozen parameters of the embeddings have no
  gradient, no state and no copy;
- averages in bfloat16, {saved} GB less (`state_precision` in the recipe);
- a micro-batch of {micro_batch} of the eight sequences, with activation checkpointing;
- logits in chunks: {logits} GB instead of the {all_logits} GB of a batch.

`ekle plan qwen3-8b-turkish --gpu 40GB`:

```
{plan}
```

The guide names 8 to 12 hours on an A100 and no length of a sequence. At {share:.0%} of its speed, the
recipe's 2,000 steps of 32 sequences of {length:,} tokens take {hours:.1f}; with `--set
training.sequence_length={longer_length}` the plan says {longer:.1f}.

## Plan and measurement

Bytes of all tensors at the peak of a step, by plan and as measured (`python -m benchmarks.steps.memory
--recipes --out docs/plan.md` writes this page). The small models run in real memory. The rows named after a
recipe run the same code on tensors that have a shape and no memory, in bfloat16 and with the chunks of a GPU.
Real training with evaluations and checkpoints is compared in `tests/planning/test_measured.py`; there
PyTorch's profiler, which sees every allocation, agrees with the count.

{table}

None of this shows what only a real GPU can: gaps between tensors, the memory that a kernel takes within one
operation, and speed. This command measures them, for ekle and for PEFT's DoRA in transformers' Trainer:

```
python -m benchmarks.steps.throughput
```

It trains Qwen3-8B with random weights and 171,936 embedding rows under the guide's recipe and the recommended
one, limits PyTorch to 40 GB, and prints tokens per second, the share of the device's peak, and the peak
memory, measured and planned. `--base DIR` trains the model in a folder instead. **It has not been run on
a GPU yet.**
"""


def page(table: str) -> str:
    """The page around the table of measurements, with the plan as it is now."""
    plan = _plan()
    longer = 2 * plan.case.training.sequence_length
    case, fp32 = plan.case, _plan("training.state_precision=fp32").case
    billions, gigabytes = f"{case.trainable_parameters / 1e9:.2f}", 1e9
    learned, frozen = 16 * fp32.trainable_parameters, case.shape.parameter_count * case.bytes_per_number
    matrices = case.shape.embedding_matrices * case.shape.rows * case.shape.hidden
    whole_batch = case.training.batch_size * case.training.sequence_length * case.total_rows * 4
    logits = next(part for part in plan.peak.parts if part.name == "logits of a chunk")
    text = _PAGE.format(
        table=table,
        names=", ".join(gpu.name for gpu in known_gpus()),
        learning=billions,
        learned=f"{learned / gigabytes:.1f}",
        frozen=f"{frozen / gigabytes:.1f}",
        state=f"{(learned + frozen) / gigabytes:.1f}",
        rows=f"{matrices / 1e9:.1f}",
        saved=f"{4 * case.trainable_parameters / gigabytes:.1f}",
        micro_batch=case.micro_batch,
        logits=f"{logits.bytes / gigabytes:.1f}",
        all_logits=f"{whole_batch / gigabytes:.0f}",
        plan=_shown(plan),
        share=SHARE_OF_PEAK,
        hours=_hours(plan),
        length=case.training.sequence_length,
        longer_length=longer,
        longer=_hours(_plan(f"training.sequence_length={longer}")),
    )
    return wrap(text)


def _plan(*changes: str) -> Plan:
    recipe = load_recipe("qwen3-8b-turkish", changes)
    return make_plan(recipe, shape_of(recipe), find_gpu("40GB"))


def _shown(plan: Plan) -> str:
    console = Console(width=118, record=True, file=io.StringIO())
    console.print(render_plan(plan))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def _hours(plan: Plan) -> float:
    return sum(compute.seconds for compute in plan.compute) / 3600
