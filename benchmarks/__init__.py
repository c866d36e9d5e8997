"""Benchmarks: each module answers one question with one command, and writes the page of its name.

| question | command | page |
|---|---|---|
| Tokens saved by genre, and drift of other languages | `-m benchmarks.vocabulary` | docs/vocabulary.md |
| ekle's tokenizer against its peers | `-m benchmarks.peers` | docs/peers.md |
| Are token boundaries morpheme boundaries? | `-m benchmarks.morphology` | docs/morphology.md |
| Time and memory of `ekle vocab` by the size of the text | `-m benchmarks.scale` | docs/scale.md |
| Time and memory of large files, many files, long paths | `-m benchmarks.large_input` | |
| Time and memory of `ekle extend` | `-m benchmarks.extension` | docs/rows.md |
| Is the data loader faster than the model? | `-m benchmarks.loader` | docs/loader.md |
| Time and memory of a step: LoRA, PEFT's DoRA, ours | `-m benchmarks.dora` | docs/dora.md |
| The norm of DoRA: row by row or factored | `-m benchmarks.dora_norm` | docs/dora-norm.md |
| Is the memory that `ekle plan` names right? | `-m benchmarks.steps.memory` | docs/plan.md |
| Tokens per second on a GPU, against PEFT | `-m benchmarks.steps.throughput` | |
| From which width is bf16 faster than fp32? | `-m benchmarks.steps.precision` | |
| Which start and training of new rows is best? | `-m benchmarks.ablation.new_rows` | docs/adaptation.md |
| Guide's recipe or recommended recipe? | `-m benchmarks.ablation.recipes` | docs/recommended.md |
| Does ekle extend a model that is no Qwen? | `-m benchmarks.real.smollm` | |

What they share: `curves` (SVG), `markdown` (pages), `device`, `own_process`.
"""
