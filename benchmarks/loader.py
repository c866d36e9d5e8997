"""Tokens per second of the data loader, and how many models need: is the text ready before the model asks?

    python -m benchmarks.loader --text train.txt --out docs/loader.md

Needs 30 MB of Turkish text, one document per line. Takes some three minutes.

The loader is everything from a corpus folder to a batch: reading, tokenizing, packing, tensors. Each row is
measured in its own process. What a GPU needs is computed, not measured: 6 x parameters floating-point
operations per token (Kaplan et al. 2020, arXiv:2001.08361), at a share of its peak that is rarely surpassed.
"""

import argparse
import itertools
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from benchmarks.markdown import paragraph, publish
from benchmarks.own_process import last_line
from ekle.bpe.base import load_base, save_tokenizer
from ekle.bpe.qwen import qwen_config

_THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS")

Kind = Literal["text", "conversations", "model", "waiting", "waiting, nothing ahead"]

BATCH, LENGTH = 8, 2048
PARAMETERS = {"Qwen3-0.6B": 0.6e9, "Qwen3-1.7B": 1.7e9, "Qwen3-4B": 4.0e9, "Qwen3-8B": 8.2e9}
"""As the models' names say, embeddings included."""
GPUS = {"A100": 312e12, "H100": 989e12}
"""Dense bf16 operations per second at the peak, from the makers' data sheets."""
SHARE = 0.5
BYTES = 30_000_000  # of text that is read
SECONDS = 8.0
PACE = SHARE * GPUS["A100"] / (6 * PARAMETERS["Qwen3-0.6B"])


def main() -> None:
    options = _options()
    if options.kind:
        print(json.dumps(_measure(options.kind, options.folder)))
        return
    with TemporaryDirectory() as place:
        folder = Path(place)
        _prepare(options.text, folder)
        one_core, all_cores = (
            {kind: _child(kind, folder, one) for kind in get_args(Kind)} for one in (True, False)
        )
    page = _page(one_core, all_cores, options.text.name)
    publish(page, options.out)


def _prepare(text: Path, folder: Path) -> None:
    """A tokenizer, documents of one line each, and conversations that ask for the next line."""
    base = load_base("qwen3")
    save_tokenizer(
        folder, base.spec, {**qwen_config(), "tokenizer_class": "PreTrainedTokenizerFast"}, base.chat_template
    )
    with text.open(encoding="utf-8") as handle:
        lines = [line.strip() for line in handle.readlines(BYTES) if line.strip()]
    _write(folder / "text.jsonl", ({"text": line} for line in lines))
    turns = (
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}
        for asked, answered in itertools.pairwise(lines)
    )
    _write(folder / "conversations.jsonl", turns)


def _write(path: Path, rows: Any) -> None:
    with path.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _measure(kind: Kind, folder: Path) -> float:
    """Tokens per second; for `waiting`, the share of time in which a model would be idle."""
    if kind == "model":
        return _model()
    from tokenizers import Tokenizer

    from ekle.model.checkpoint.loading import load_tokenizer
    from ekle.training.data.chat_template import chat_template
    from ekle.training.data.conversations import Conversations
    from ekle.training.data.documents import Documents, Lines, Readable, encoder
    from ekle.training.data.packing import Batches, Cursor, Source, pack, prefetch

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encode = encoder(tokenizer)
    documents: Readable
    if kind == "conversations":
        specials = load_tokenizer(folder).special_tokens_map
        template = chat_template(load_base("qwen3").chat_template, specials, "qwen3")
        documents = Conversations(Lines(folder / "conversations.jsonl", 0), encode, template)
    else:
        bos_id = tokenizer.token_to_id("<|endoftext|>")
        assert bos_id is not None, "Qwen has it"
        documents = Documents(Lines(folder / "text.jsonl", 0), encode, bos_id)
    packed = pack([Source(kind, 1.0, documents)], length=LENGTH, cursor=Cursor())
    batches = iter(Batches(prefetch(packed, 4 * BATCH) if kind == "waiting" else packed, BATCH))
    next(batches)  # imports and caches do not count
    count, waited, started, worked = 0, 0.0, time.monotonic(), time.process_time()
    while time.monotonic() - started < SECONDS:
        asked = time.monotonic()
        next(batches)
        waited += time.monotonic() - asked
        count += BATCH * LENGTH
        if kind.startswith("waiting"):
            time.sleep(BATCH * LENGTH / PACE)  # the model at work on a GPU, which leaves the CPU idle
    passed = time.monotonic() - started
    return waited / passed if kind.startswith("waiting") else count / _spent(started, worked)


def _model() -> float:
    """Tokens per second of the quickstart's model in training, forward and backward."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from ekle.model.layers.loss import chunk_size, chunked_cross_entropy
    from ekle.planning.shapes import shape_of
    from ekle.recipe.recipe import load_recipe

    config = Qwen3Config(**shape_of(load_recipe("quickstart")).config)
    model = Qwen3ForCausalLM(config)
    model.lm_head.requires_grad_(False)  # as in training, where base rows are frozen
    ids = torch.randint(0, config.vocab_size, (BATCH, 128))
    count, started, worked = 0, time.monotonic(), time.process_time()
    while time.monotonic() - started < SECONDS:
        hidden = model.model(ids, use_cache=False).last_hidden_state.flatten(0, 1)
        chunk = chunk_size(config.vocab_size, hidden.device)
        chunked_cross_entropy(hidden, model.lm_head, ids.flatten(), chunk).backward()
        count += ids.numel()
    return count / _spent(started, worked)


def _spent(started: float, worked: float) -> float:
    """Seconds since then: CPU time of one core, or by the clock where there are several."""
    if os.environ.get("RAYON_NUM_THREADS") == "1":
        return time.process_time() - worked
    return time.monotonic() - started


def _child(kind: Kind, folder: Path, one: bool) -> float:
    """The figure of `kind` in a process with one core, or with all."""
    threads = dict.fromkeys(_THREADS, "1") if one else {}
    rest = {name: value for name, value in os.environ.items() if name not in _THREADS}
    environment = rest | threads | {"TOKENIZERS_PARALLELISM": "false" if one else "true"}
    return float(last_line("benchmarks.loader", ["--kind", kind, "--folder", str(folder)], environment))


def _page(one_core: dict[Kind, float], all_cores: dict[Kind, float], name: str) -> str:
    cores = os.cpu_count()
    rows = [
        ("loader, running text", one_core["text"], all_cores["text"]),
        ("loader, conversations", one_core["conversations"], all_cores["conversations"]),
        ("the quickstart's model in training, for comparison", one_core["model"], all_cores["model"]),
    ]
    measured = [f"| measured | one core | all {cores} |", "|---|---:|---:|"]
    measured += [f"| {what} | {one:,.0f} | {many:,.0f} |" for what, one, many in rows]
    needs = {
        (model, gpu): SHARE * peak / (6 * size)
        for model, size in PARAMETERS.items()
        for gpu, peak in GPUS.items()
    }
    header = "".join(f" {count} {gpu} |" for gpu in GPUS for count in (1, 8))
    computed = [f"| computed |{header}", "|---|" + "---:|" * 2 * len(GPUS)]
    for model in PARAMETERS:
        cells = "".join(f" {count * needs[model, gpu]:,.0f} |" for gpu in GPUS for count in (1, 8))
        computed.append(f"| {model} |{cells}")
    fastest = needs["Qwen3-0.6B", "A100"]
    peaks = " and ".join(f"{peak / 1e12:,.0f}" for peak in GPUS.values())
    about = paragraph(
        f"Written by `python -m benchmarks.loader` from `{name}`: tokens per second, read, tokenized with "
        f"Qwen3's tokenizer and packed into batches of {BATCH} x {LENGTH:,}. In a conversation every second "
        "line answers the one before. One core: by CPU time. All cores: by the clock, so other work on the "
        "machine counts, too."
    )
    formula = paragraph(
        f"What models need, computed and not measured: {SHARE:.0%} of a GPU's peak ({peaks} TFLOPS in bf16), "
        "divided by 6 x parameters operations per token. Every process reads what all of them train on, so "
        "its loader must be as fast as all GPUs together."
    )
    verdict = paragraph(
        f"One core makes {one_core['text'] / fastest:.1f} times the tokens per second that Qwen3-0.6B needs "
        "on one A100 (running text). A thread prepares the next four batches: a model of that speed "
        f"(simulated by a pause) was idle for {one_core['waiting']:.1%} of the time, and for "
        f"{one_core['waiting, nothing ahead']:.1%} without that thread, by the clock."
    )
    tables = ["\n".join(measured), formula, "\n".join(computed), verdict]
    return "\n\n".join(["# Tokens per second of the loader", about, *tables]) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, help="Turkish text, one document per line")
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    parser.add_argument("--kind", choices=list(get_args(Kind)), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.kind and not options.text:
        parser.error("--text is missing")
    return options


if __name__ == "__main__":
    main()
