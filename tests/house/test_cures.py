"""What a message names exists, and the command that shows the message takes it.

The strings of the package are collected from its source, with the functions that hold them. A graph of which
function uses which says which commands can show a string. Each such command must take one of the options or
settings that the string names, unless it names the command to give them to.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from project import ROOT, python_files
from typer.main import get_command

from ekle.artifacts import Stage
from ekle.cli.app import app
from ekle.recipe import Recipe
from ekle.recipe.section import Section

PARAMETERS: dict[str, dict[str, Any]] = {
    name: {word: parameter for parameter in command.params for word in parameter.opts if word[:2] == "--"}
    for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
}
"""Of each command, its options."""
FIELDS = {name: field.annotation for name, field in Recipe.model_fields.items()}
SECTIONS = {
    name: kind for name, kind in FIELDS.items() if isinstance(kind, type) and issubclass(kind, Section)
}
READ = {
    "run": set(SECTIONS),
    "train": set(SECTIONS),
    "plan": set(SECTIONS),
    "count": {"vocabulary", "corpus"},
    "vocab": {"vocabulary", "corpus"},
    "extend": {"extension"},
    "evaluate": {"evaluation"},
    "export": {"release"},
}
"""The sections of the recipe that a command reads."""
OF_OTHERS = {"--nproc-per-node", "--pre-tokenizer"}
"""Options of torchrun, and of gguf-new-metadata."""
VERBS = set("brings can cannot come counts did does extends is knows reads returned runs would wrote".split())
"""What messages say that ekle does."""

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
SETTING = re.compile(rf"(?<![\w./-])(?:{'|'.join(SECTIONS)})(?:\.[a-z_]+)+\b(?!\()")
COMMAND = re.compile(r"\bekle ([a-z]+)\b")
TAKES_STAGE = re.compile(rf"with --redo (?:\{{\}}|{'|'.join(get_args(Stage))})")

Node = tuple[str, str]
"""A module, and a name at its top."""


@dataclass(frozen=True)
class Message:
    """A string of the package; `{}` stands for what it is filled with."""

    place: Node
    line: int
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(self.place)}:{self.line}"


class Package:
    """The definitions at the top of every module, and which of them use which."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._modules = modules
        self._imports = {name: self._imported(tree) for name, tree in modules.items()}
        self._used: dict[Node, set[Node]] = {}
        self.definitions: dict[Node, list[ast.stmt]] = defaultdict(list)
        for name, tree in modules.items():
            for statement in tree.body:
                for defined in _defined(statement):
                    self.definitions[name, defined].append(statement)

    def reachable(self, start: Node) -> set[Node]:
        """Every definition that `start` uses, directly or through others."""
        found, open_ = {start}, [start]
        while open_:
            place = open_.pop()
            if place not in self._used:
                self._used[place] = self._uses(place)
            new = self._used[place] - found
            found |= new
            open_ += new
        return found

    def _imported(self, tree: ast.AST) -> dict[str, Node]:
        """Names that stand for a definition (module, name), or for a module (module, "")."""
        names: dict[str, Node] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    whole = f"{node.module}.{each.name}"
                    place = (whole, "") if whole in self._modules else (node.module, each.name)
                    names[each.asname or each.name] = place
            elif isinstance(node, ast.Import):
                names |= {each.asname: (each.name, "") for each in node.names if each.asname}
        return names

    def _resolve(self, place: Node, depth: int = 5) -> Node | None:
        """Where a name is defined, through packages that hand it on."""
        if place in self.definitions:
            return place
        module, name = place
        further = self._imports.get(module, {}).get(name)
        return self._resolve(further, depth - 1) if further and depth else None

    def _uses(self, place: Node) -> set[Node]:
        module, _ = place
        found: set[Node | None] = set()
        for statement in self.definitions[place]:
            local = _local_names(statement)
            imported = self._imported(statement)
            names = self._imports[module] | imported
            types = {id(part) for annotation in _annotations(statement) for part in ast.walk(annotation)}
            for node in ast.walk(statement):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    of, name = names.get(node.value.id, ("", "-"))
                    found.add(self._resolve((of, node.attr)) if not name else None)
                elif isinstance(node, ast.Name) and id(node) not in types and (node.id not in local):
                    found.add(self._resolve(names.get(node.id, (module, node.id))))
        return {use for use in found if use is not None}


def _defined(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _annotations(statement: ast.stmt) -> Iterator[ast.AST]:
    for node in ast.walk(statement):
        for each in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(each, ast.AST):
                yield each


def _local_names(statement: ast.stmt) -> set[str]:
    """Parameters and variables of a function, which hide what else is called so."""
    if not isinstance(statement, ast.FunctionDef):
        return set()
    nodes = list(ast.walk(statement))
    return {node.arg for node in nodes if isinstance(node, ast.arg)} | {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


@cache
def package() -> Package:
    root = ROOT / "src"
    sources = {_module(path.relative_to(root)): path for path in python_files("src")}
    return Package({name: ast.parse(path.read_text("utf-8")) for name, path in sources.items()})


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def messages() -> list[Message]:
    """Every string that names an option, a setting or a command, docstrings left out."""
    found = []
    for place, statements in package().definitions.items():
        for statement in statements:
            quiet = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Expr)}
            for node in ast.walk(statement):
                if isinstance(node, ast.JoinedStr):
                    quiet |= {id(part) for part in node.values}
            for node in ast.walk(statement):
                text = "" if id(node) in quiet else _text(node)
                if " " in text and any(kind.search(text) for kind in (OPTION, SETTING, COMMAND)):
                    found.append(Message(place, node.lineno, text))  # type: ignore[attr-defined]
    return found


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case _:
            return ""


@cache
def shown_by() -> dict[Node, list[str]]:
    """The commands that use each definition."""
    commands: dict[Node, list[str]] = defaultdict(list)
    for each in app.registered_commands:
        assert each.callback is not None
        for place in package().reachable((each.callback.__module__, each.callback.__name__)):
            commands[place].append(str(each.name))
    return commands


def _has(section: Any, keys: list[str]) -> bool:
    """Whether a setting of that dotted name exists, a table of free names included."""
    if not keys:
        return True
    if not (isinstance(section, type) and issubclass(section, Section)):
        return False
    field = section.model_fields.get(keys[0])
    return field is not None and _has(field.annotation, keys[1:])


def _takes(command: str, option: str, text: str) -> bool:
    parameter = PARAMETERS[command].get(option)
    return parameter is not None and not (parameter.is_flag and TAKES_STAGE.search(text))


def _cures(message: Message, command: str) -> bool:
    """Whether `command` takes something that the message names."""
    return (
        any(_takes(command, option, message.text) for option in OPTION.findall(message.text))
        or any(name.partition(".")[0] in READ.get(command, ()) for name in SETTING.findall(message.text))
        or any(name in PARAMETERS for name in COMMAND.findall(message.text))
    )


def _unknown(message: Message) -> Iterator[str]:
    """Options, commands and settings that the message names and that do not exist."""
    options = {option for command in PARAMETERS.values() for option in command} | OF_OTHERS | {"--help"}
    yield from set(OPTION.findall(message.text)) - options
    yield from set(COMMAND.findall(message.text)) - PARAMETERS.keys() - VERBS
    for name in SETTING.findall(message.text):
        section, *keys = name.split(".")
        if not _has(SECTIONS[section], keys):
            yield name


def _misplaced(message: Message) -> Iterator[str]:
    """Options that the message writes after a command which does not take them."""
    for command, rest in re.findall(r"\bekle ([a-z]+)((?: [^;,.]*)?)", message.text):
        if command in PARAMETERS:
            yield from set(OPTION.findall(rest)) - PARAMETERS[command].keys() - {"--help"}


def _useless(message: Message) -> list[str]:
    """Commands that show the message and take nothing of what it names."""
    module, _ = message.place
    named = {*OPTION.findall(message.text), *SETTING.findall(message.text)} - OF_OTHERS
    if not named:
        return []
    commands = shown_by()[message.place]
    if module.startswith("ekle.recipe.") and (section := module.rpartition(".")[2]) in SECTIONS:
        commands = [command for command in commands if section in READ.get(command, ())]
    return [command for command in commands if not _cures(message, command)]


def test_what_a_message_names_exists() -> None:
    assert {str(message): unknown for message in messages() if (unknown := list(_unknown(message)))} == {}


def test_an_option_after_a_command_is_one_of_that_command() -> None:
    assert {str(message): wrong for message in messages() if (wrong := list(_misplaced(message)))} == {}


def test_the_command_that_shows_a_message_takes_what_it_names() -> None:
    assert {str(message): commands for message in messages() if (commands := _useless(message))} == {}


def test_messages_of_every_stage_are_found_with_their_commands() -> None:
    found = {module.split(".")[1] for (module, _) in (message.place for message in messages())}
    assert {"corpus", "vocabulary", "extension", "training", "evaluation", "release", "pipeline"} <= found
    places = shown_by()
    assert places["ekle.corpus.language", "check_turkish"] == ["run", "count", "vocab", "train"]
    assert places["ekle.pipeline.lookup", "held_out_of"] == ["evaluate"]
    assert places["ekle.planning.gpus", "find_gpu"] == ["plan"]


def test_a_cure_that_the_command_does_not_take_is_seen() -> None:
    place = ("ekle.corpus.language", "check_turkish")
    assert not _cures(Message(place, 1, "go on with --any-language"), "run")
    assert _cures(Message(place, 1, "go on with --any-language"), "vocab")
    assert _cures(Message(place, 1, "set vocabulary.any_language"), "run")
    assert not _cures(Message(place, 1, "start over with --redo training"), "train")
    assert _cures(Message(place, 1, "start over with ekle run RECIPE --redo training"), "train")
