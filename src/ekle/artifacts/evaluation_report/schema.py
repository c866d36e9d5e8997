"""report.json described: a JSON schema for machines and a page of keys for people, from the field docs."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ekle.artifacts.evaluation_report import control, figures, model, report, tokenizer
from ekle.artifacts.evaluation_report.report import EvaluationReport
from ekle.turkish import casing

_MODULES: tuple[ModuleType, ...] = (figures, control, tokenizer, model, report)
_REFERENCE = "#/$defs/"
_ROOT = "EvaluationReport"
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


def report_schema() -> dict[str, Any]:
    """The schema of `EvaluationReport`; a key that may be absent is not required, and never null."""
    schema = EvaluationReport.model_json_schema()
    docs = field_docs()
    for name, part in [(_ROOT, schema), *schema["$defs"].items()]:
        part.pop("title", None)  # a name once more
        for key, content in part.get("properties", {}).items():
            part["properties"][key] = {**_without_null(content), "description": docs[name, key]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def keys_page() -> str:
    """Every key of report.json, a table for each kind of object, as Markdown."""
    schema = report_schema()
    parts = {_ROOT: schema} | {name: schema["$defs"][name] for name in _in_order(schema)}
    lines = [
        "# Every key of report.json",
        "",
        "[report.md](report.md) defines the terms, and [report.schema.json](report.schema.json) is the same "
        "for machines. A key in italics may be absent: what was not measured is absent, never 0. Shares are "
        "numbers from 0 to 1.",
        "",
        "Made by `make report-docs` from the field docs of `ekle.artifacts.evaluation_report`.",
    ]
    for name, part in parts.items():
        lines += ["", f"## {'The file' if name == _ROOT else name}", "", part["description"], ""]
        if "properties" in part:
            lines += ["| key | holds | meaning |", "|---|---|---|"]
            lines += [_row(part, key, content) for key, content in part["properties"].items()]
    return "\n".join(lines) + "\n"


def field_docs() -> dict[tuple[str, str], str]:
    """By class and field, the text below the field on one line; fields of a parent are in each child."""
    found: dict[tuple[str, str], str] = {}
    for module in _MODULES:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                parents = {ast.unparse(base) for base in node.bases}
                found |= {(node.name, key): doc for (name, key), doc in found.items() if name in parents}
                found |= {(node.name, key): doc for key, doc in _documented(node)}
    return found


def _documented(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (field.target.id, " ".join(below.value.value.split()))
        for field, below in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    ]


def _without_null(content: dict[str, Any]) -> dict[str, Any]:
    """The schema of a key without the title, and without the default and the null that mean its absence."""
    kept = {key: part for key, part in content.items() if key not in ("title", "default", "anyOf")}
    kinds = [kind for kind in content.get("anyOf", []) if kind != {"type": "null"}]
    return {**kept, **kinds[0]} if len(kinds) == 1 else kept | ({"anyOf": kinds} if kinds else {})


def _in_order(schema: dict[str, Any]) -> list[str]:
    """The kinds of objects in the order in which the keys lead to them."""
    found: dict[str, None] = {}

    def follow(part: Any) -> None:
        for name in _references(part):
            if name not in found:
                found[name] = None
                follow(schema["$defs"][name])

    follow(schema["properties"])
    return [name for name in found if "description" in schema["$defs"][name]]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].removeprefix(_REFERENCE)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _row(part: dict[str, Any], key: str, content: dict[str, Any]) -> str:
    name = f"`{key}`" if key in part.get("required", []) else f"*`{key}`*"
    return f"| {name} | {_holds(content)} | {content['description'].replace('|', '&#124;')} |"


def _holds(content: dict[str, Any]) -> str:
    """What a key holds, in words."""
    if "$ref" in content:
        name = content["$ref"].removeprefix(_REFERENCE)
        return "anything" if name == "JsonValue" else f"[{name}](#{casing.plain_lower(name)})"
    if "enum" in content or "const" in content:
        values = content.get("enum", [content.get("const")])
        return " or ".join("true" if value is True else f"`{value}`" for value in values)
    if content.get("type") == "array":
        return f"list: {_holds(content['items'])}"
    if content.get("type") == "object":
        return f"by name: {_holds(content['additionalProperties'])}"
    return _TYPES[content["type"]]
