"""``params.yaml``: every input of the pipeline, typed and checked when it is loaded.

Each chapter's section has a module. The file is read with ruamel.yaml, which DVC uses as well, so that both see the
same values (``2e-4`` is a number, a key given twice is an error).
"""

import types
import typing
from pathlib import Path

import pydantic
from ruamel.yaml import YAML, YAMLError

from skylight.errors import InputError
from skylight.params.bars import Bars
from skylight.params.periodic import Periodic
from skylight.params.realbogus import Realbogus
from skylight.params.section import Section
from skylight.params.supernovae import Supernovae


class Params(Section):
    """The whole of ``params.yaml``: one section per chapter."""

    periodic: Periodic
    realbogus: Realbogus
    bars: Bars
    supernovae: Supernovae


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises
    ------
    InputError
        The file is missing or is not YAML, or a key is unknown, missing, of the wrong type or out of range.
        The message has one line per fault, which starts with the key (``periodic.train.epochs: must be ...``).
    """
    try:
        content = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    return check(Params, content)


def check(model: type[Section], content: object) -> Section:
    """Check dictionaries and lists, as read from YAML, against ``model``; the `InputError` names every faulty key."""
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(_line(model, fault) for fault in error.errors()))) from None


_TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "finite_number": "a finite number",
}


def _line(model: type[Section], fault: dict) -> str:
    """Describe one fault that pydantic found, in one line."""
    kind, got, limits = fault["type"], fault["input"], fault.get("ctx", {})
    keys, section = _walk(model, fault["loc"])
    key = ".".join(map(str, keys)) or "params.yaml"
    if kind == "extra_forbidden":
        return f"{key}: unknown key (known here: {', '.join(sorted(_fields(section)))})"
    if kind == "missing":
        return f"{key}: missing"
    if kind in _TYPES:
        wanted = _TYPES[kind]
    elif kind == "greater_than_equal":
        wanted = f"at least {limits['ge']:g}"
    elif kind == "greater_than":
        wanted = f"more than {limits['gt']:g}"
    elif kind == "less_than_equal":
        wanted = f"at most {limits['le']:g}"
    elif kind == "less_than":
        wanted = f"less than {limits['lt']:g}"
    elif kind == "literal_error":
        wanted = f"one of {limits['expected']}"
    elif kind == "union_tag_not_found":
        wanted = f"a section with a key {limits['discriminator']}"
    elif kind == "union_tag_invalid":
        wanted = f"a section whose {limits['discriminator']} is one of {limits['expected_tags']}"
    elif kind == "too_short":
        wanted = f"a list of at least {limits['min_length']}"
    elif kind == "too_long":
        wanted = f"a list of at most {limits['max_length']}"
    elif kind == "value_error":
        return f"{key}: {limits['error']}"
    else:
        return f"{key}: {fault['msg']}, got {got!r}"
    return f"{key}: must be {wanted}, got {got!r}"


def _walk(annotation: object, location: tuple) -> tuple[list, object]:
    """Return the keys of a fault as they are in the file, and the type of the section that contains the last key.

    A location of pydantic has further entries: the tag of a union's member, and the types that it tried for a value.
    """
    members = _members(annotation)
    if typing.get_origin(annotation) in (dict, list) and location:
        keys, here = _walk(typing.get_args(annotation)[-1], location[1:])
        return [location[0], *keys], here
    if not location or not members:
        return [], annotation
    if len(members) > 1:
        tagged = [member for member in members if location[0] in typing.get_args(_fields(member)["layout"])]
        return _walk(tagged[0], location[1:])
    if len(location) == 1:
        return [location[0]], members[0]
    keys, here = _walk(_fields(members[0]).get(location[0]), location[1:])
    return [location[0], *keys], here


def _fields(section: type[Section]) -> dict[str, object]:
    """Return the keys of a section, as they are in the file, and their types."""
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _members(annotation: object) -> list[type[Section]]:
    """Return the section types that ``annotation`` allows: itself, or those of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) in (typing.Union, typing.Annotated):
        return [member for part in typing.get_args(annotation) for member in _members(part)]
    return []
