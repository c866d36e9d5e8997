"""A real Qwen before and after ekle: rules for new rows, probes of settings, and the winner beside a control.

    python -m benchmarks.real --data DIR --tied DIR --untied DIR --work DIR
    python -m benchmarks.real --data DIR --tied DIR --work DIR --only settle vocab rules-tied
    python -m benchmarks.real ... --only rules-tied --rules "mapped, 0 minutes" subword
    python -m benchmarks.real --work DIR --write

Parts, in their order:
    settle        the base learns with its own tokenizer first; an instruction model gains from any plain text
    vocab         the new tokens
    rules-tied    every rule for new rows before training, over the tied base
    rules-untied  the same over the untied base; left out without --untied
    probes        short trainings behind the start rule, other settings in each
    winner        a run of ekle with a control, in WORK/runs/real; its recipe is WORK/real.toml
    profiles      the profiles of the vocabulary
    texts         greedy continuations before and after
    report        the rest of the winner's run: its evaluation with all sections, and its release
    smollm        SmolLM2-135M, which is no Qwen

Each result is kept in WORK/parts and not made again; an interrupted part goes on. --write makes
docs/real.json, docs/real.md and docs/real.svg from what is kept. --size gpu is for one large GPU, makes the
parts up to the winner, and takes a --work of its own.

Needs DIR with tr/train.txt, tr/dev_wiki.txt, tr/dev_review.txt, tr/dev_qa.txt and other/en.txt, and model
folders with config.json, safetensors and tokenizer. Everything is measured in float32.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, assert_never, get_args

from rich.console import Console
from transformers.utils import logging

from benchmarks.real.page import summary, write_page
from benchmarks.real.parts import Parts, Result
from benchmarks.real.probes import keep_probes
from benchmarks.real.profiles import keep_profiles
from benchmarks.real.rules import keep_rules
from benchmarks.real.settle import keep_settling, settled_folders
from benchmarks.real.sizes import Ends, SizeName, size_named
from benchmarks.real.smollm import TOKENS, Figures, compare
from benchmarks.real.text import prepare_text
from benchmarks.real.texts import keep_texts
from benchmarks.real.winner import keep_report, keep_winner
from benchmarks.real.workspace import Workspace
from ekle.errors import EkleError, InputError
from ekle.progress import ProgressReporter

Part = Literal[
    "settle",
    "vocab",
    "rules-tied",
    "rules-untied",
    "probes",
    "winner",
    "profiles",
    "texts",
    "report",
    "smollm",
]
PARTS: tuple[Part, ...] = get_args(Part)
GPU_PARTS: tuple[Part, ...] = ("settle", "vocab", "rules-tied", "rules-untied", "probes", "winner")
"""The parts that `--size gpu` makes where --only names none."""
PAGE = Path(__file__).parents[2] / "docs" / "real.md"


def main(words: Sequence[str] | None = None) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.disable_progress_bar()
    try:
        _run(_options(words))
    except EkleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _run(options: argparse.Namespace) -> None:
    name: SizeName = options.size
    parts = Parts(options.work / "parts")
    console = Console(width=120, highlight=False)
    if options.write is not None:
        write_page(options.write, name, size_named(name), parts)
        console.print(f"{options.write} is written")
        return
    space = _workspace(options, name, parts, ProgressReporter(console))
    wanted = GPU_PARTS if name == "gpu" else PARTS
    for part in PARTS:
        if part in (options.only or wanted):
            space.reporter.say(part)
            _make(part, space, options)
    console.print(summary(parts.results()), soft_wrap=True)


def _make(part: Part, space: Workspace, options: argparse.Namespace) -> None:
    match part:
        case "settle":
            for ends in space.settled:
                keep_settling(space, ends)
        case "vocab":
            space.vocabulary()
        case "rules-tied":
            keep_rules(space, "tied", options.rules)
        case "rules-untied":
            if "untied" in space.settled:
                keep_rules(space, "untied", options.rules)
            else:
                space.reporter.say("rules-untied is left out: there is no --untied")
        case "probes":
            keep_probes(space, options.probes)
        case "winner":
            keep_winner(space, options.seeds)
        case "profiles":
            keep_profiles(space)
        case "texts":
            keep_texts(space)
        case "report":
            keep_report(space)
        case "smollm":
            _keep_smollm(space)
        case _:
            assert_never(part)


def _keep_smollm(space: Workspace) -> None:
    """Extend SmolLM2-135M and measure it, or keep the line by which it is refused."""

    def make() -> Result:
        try:
            found: Figures = compare(space.data, space.work / "smollm", **options)
        except EkleError as error:
            return {"refused": str(error).replace(str(space.work), "WORK")}
        return {"models": found, **options}

    options = {"tokens": TOKENS, **space.size.smollm}
    space.parts.keep("smollm", {"text": space.text_digest, **options}, make)


def _workspace(
    options: argparse.Namespace, name: SizeName, parts: Parts, reporter: ProgressReporter
) -> Workspace:
    if options.data is None or options.tied is None:
        raise InputError("give --data and --tied; --write alone needs neither")
    if options.seeds < 1:
        raise InputError(f"--seeds {options.seeds} trains nothing; give 1 or more")
    size = size_named(name)
    given: dict[Ends, Path] = _folders({"tied": options.tied, "untied": options.untied})
    settled = _folders({"tied": options.settled_tied, "untied": options.settled_untied})
    if missing := settled.keys() - given.keys():
        raise InputError(f"--settled-{missing.pop()} needs the base that was settled; give it, too")
    text = prepare_text(options.data, size, options.work / "text")
    folders = settled_folders(options.work, size, text, given, settled, reporter)
    return Workspace(options.work, options.data, size, text, given, folders, parts, reporter)


def _folders(named: Mapping[Ends, Path | None]) -> dict[Ends, Path]:
    found = {ends: folder for ends, folder in named.items() if folder is not None}
    for folder in found.values():
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} is no model folder; make_base.py makes one")
    return found


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of finished work")
    parser.add_argument("--data", type=Path, help="folder of text")
    parser.add_argument("--tied", type=Path, help="a base whose ends are tied, as Qwen3 up to 4B has them")
    parser.add_argument("--untied", type=Path, help="the same base with ends of its own, as Qwen3-8B")
    parser.add_argument("--settled-tied", type=Path, help="settle nothing, take this")
    parser.add_argument("--settled-untied", type=Path, help="likewise")
    parser.add_argument("--size", choices=get_args(SizeName), default="cpu")
    parser.add_argument("--seeds", type=int, default=1, help="of the winner and its control")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="these parts alone")
    parser.add_argument("--rules", nargs="+", metavar="RULE", help="of the rules, these alone")
    parser.add_argument("--probes", nargs="+", metavar="PROBE", help="of the probes, these alone")
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="PAGE",
        help="write the page from what is kept, and its results and curves next to it; nothing is measured",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
