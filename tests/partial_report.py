"""A report from the few keys that a test is about; every other key that must be there holds nothing."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ekle.artifacts.evaluation_report import FORMAT, EvaluationReport


def report_of(content: dict[str, Any]) -> EvaluationReport:
    """`content` is like the content of a report.json, of which any key may be absent at any depth."""
    return EvaluationReport.model_validate(_filled(EvaluationReport, {"format": FORMAT} | content))


def _filled(kind: Any, content: Any = None) -> Any:
    """`content` with the keys that `kind` requires; without content the least that is valid."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _filled(arguments[0], content)
    if origin in (Union, types.UnionType):
        inner = next(one for one in arguments if one is not type(None))
        return None if content is None else _filled(inner, content)
    if origin is Literal:
        return arguments[0] if content is None else content
    if origin is dict:
        return {key: _filled(arguments[1], part) for key, part in (content or {}).items()}
    if origin is list:
        return [_filled(arguments[0], part) for part in content or []]
    if isinstance(kind, type) and issubclass(kind, BaseModel) and "root" not in kind.model_fields:
        if isinstance(content, BaseModel):
            return content
        own = content or {}
        return own | {
            key: _filled(field.annotation, own.get(key))
            for key, field in kind.model_fields.items()
            if key in own or field.is_required()
        }
    if content is None and kind in (int, float, str, bool):
        return kind()
    return content
