"""The command `ekle`: which commands there are, and how each ends.

Exit codes: 0 done; 2 a mistake of the user's, in one line; 130 Ctrl-C; 141 nobody reads the output any more;
1, with a traceback, a defect.
"""

import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from ekle.cli import evaluation, pipeline, stages
from ekle.cli.errors import Interrupted, error_line
from ekle.cli.options import check_words, examples, with_new_names
from ekle.cli.streams import OutputClosed, standard_streams
from ekle.errors import RenamedWarning

app = typer.Typer(
    name="ekle",
    help="Extend Qwen3 with Turkish: learn the tokens, graft them, train them, prove the result.",
    epilog=examples(
        "ekle run",
        "ekle vocab --corpus text/ --size 20000 --out vocabulary",
        'ekle try runs/quickstart "Evlerimizden geliyoruz."',
    ),
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _add(name: str, command: Callable[..., None], *lines: str) -> None:
    app.command(name, epilog=examples(*lines))(command)


_add(
    "run",
    pipeline.run,
    "ekle run",
    "ekle run recipes/qwen3-0.6b-turkish.toml --until vocabulary",
    "ekle run --set training.steps=100 --redo training",
)
_add(
    "count",
    stages.count,
    "ekle count --corpus part-1/ --out part-1.parquet",
    "ekle vocab --counts part-1.parquet --counts part-2.parquet --out vocabulary",
)
_add(
    "vocab",
    stages.vocab,
    "ekle vocab --corpus bundled:tr --size 5000 --out vocabulary",
    "ekle vocab --corpus text/ --held-out other.txt --out vocabulary",
)
_add("extend", stages.extend, "ekle extend --vocab vocabulary --base Qwen/Qwen3-0.6B --out extended")
_add("train", pipeline.train, "ekle train recipes/qwen3-0.6b-turkish.toml")
_add(
    "evaluate",
    evaluation.evaluate,
    "ekle evaluate runs/quickstart --out report",
    "ekle evaluate extended --against base --held-out wiki.txt --held-out law.txt",
)
_add("compare", evaluation.compare, "ekle compare qwen3 vocabulary --text wiki.txt --text law.txt")
_add(
    "plan",
    pipeline.plan,
    "ekle plan recipes/qwen3-8b-turkish.toml --gpu 40GB",
    "ekle plan qwen3-0.6b-turkish --gpu t4 --set training.dora.rank=64",
)
_add("export", stages.export, "ekle export runs/quickstart --format hf --out model")
_add("serve", stages.serve, "ekle serve runs/quickstart")
_add("try", evaluation.try_, 'ekle try runs/quickstart "Evlerimizden geliyoruz."')
_add("status", pipeline.status, "ekle status quickstart")


@app.callback()
def _start(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    # Not typer.echo: where the code page is ASCII, it writes past `standard_streams`.
    if show_version:
        print(f"ekle {version('ekle')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: the words after `ekle`; those of the process by default.
    """
    # ekle says itself what a user must know; the warnings of the libraries below are about their insides.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # A hub that does not answer is reported once, not at every try.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    # torch's threads spin while they wait; where something else wants the cores, that costs half the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Tables of millions of strings make a pass of the garbage collector long, and its usual pace very many.
    gc.set_threshold(200_000, 20, 20)
    with standard_streams(), warnings.catch_warnings():
        warnings.simplefilter("default", RenamedWarning)  # each line once
        warnings.showwarning = _show_warning(warnings.showwarning)
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        check_words(arguments)
        code: Any = app(with_new_names(arguments), standalone_mode=False)
        sys.stdout.flush()  # here a full disk or a closed pipe can still be answered
    except OutputClosed:
        return 141  # 128 + SIGPIPE, as of any other program before `| head`
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except Interrupted as stopped:
        return _fail(str(stopped), 130)
    except SystemExit as ended:
        # Typer ends silently for any broken pipe; what is no OutputClosed was one to a server or a worker.
        line = error_line(ended)
        if line is None:
            raise
        return _fail(line, 2)
    except Exception as error:
        # Typer's errors of usage have no type of their own that all of its versions share.
        usage = getattr(error, "format_message", None)
        line = usage().replace("Value error, ", "") if usage else error_line(error)
        if line is None:
            raise
        return _fail(line, 2)
    if code == 130:  # Typer turns Ctrl-C into this code by itself
        return _fail("stopped; nothing half written is left, give the command again", 130)
    return int(code or 0)


def _fail(line: str, code: int) -> int:
    print(f"ekle: {line}", file=sys.stderr)
    return code


def _show_warning(otherwise: Callable[..., None]) -> Callable[..., None]:
    """What shows a warning: one line for an old name, `otherwise` for what libraries warn of."""

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, RenamedWarning):
            print(f"ekle: {message}", file=sys.stderr)
        else:
            otherwise(message, category, *place)

    return show
