"""``params.yaml``: every input of the pipeline, typed and checked.

Each chapter's section has a module. A stage checks the section of its chapter only, so that a typo in one chapter does
not stop another; ``skylight check`` checks the whole file. The file is read with ruamel.yaml, which DVC uses as well,
so that both see the same values (``2e-4`` is a number, a key given twice is an error).
"""

import types
import typing
from functools import cached_property
from pathlib import Path

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import Node, ScalarNode

from skylight.errors import InputError, printable
from skylight.params.bars import Bars
from skylight.params.light_curves import Data
from skylight.params.metallicity import Metallicity
from skylight.params.periodic import Periodic
from skylight.params.realbogus import Realbogus
from skylight.params.section import BadKey, Section
from skylight.params.supernovae import Supernovae

LARGEST_FILE = 128 * 1024
"""Largest parameter file, bytes; that of this repository has 17 kB."""
MOST_VALUES = 20_000
"""Most values in a parameter file; each use of an alias (``*name``) counts all values that it stands for."""
LONGEST_NUMBER = 100
"""Most characters of a number."""


class Params(Section):
    """The whole of ``params.yaml``: one section per chapter."""

    periodic: Periodic
    realbogus: Realbogus
    bars: Bars
    supernovae: Supernovae
    metallicity: Metallicity


class Chapters:
    """The sections of ``params.yaml``; each is checked when it is first asked for (`InputError`, see `load`)."""

    def __init__(self, content: dict):
        self._content = content

    @cached_property
    def periodic(self) -> Periodic:
        return self._section("periodic")

    @cached_property
    def realbogus(self) -> Realbogus:
        return self._section("realbogus")

    @cached_property
    def bars(self) -> Bars:
        return self._section("bars")

    @cached_property
    def supernovae(self) -> Supernovae:
        return self._section("supernovae")

    @cached_property
    def metallicity(self) -> Metallicity:
        return self._section("metallicity")

    def _section(self, name: str) -> Section:
        if name not in self._content:
            raise InputError(f"{name}: missing")
        return check(Params.model_fields[name].annotation, self._content[name], name)


def load(path: str | Path = "params.yaml") -> Chapters:
    """Read a parameter file; the section of a chapter is checked when it is asked for (``load().periodic``).

    Raises
    ------
    InputError
        The file is missing, too large or not YAML. Or, from the attribute: a key of the section is unknown, missing, of
        the wrong type or out of range. The message has one line per fault, which starts with the key
        (``periodic.train.epochs: must be ...``).
    """
    return Chapters(_read(Path(path)))


def load_all(path: str | Path = "params.yaml") -> Params:
    """Read and check all of a parameter file; raises what `load` and its attributes raise, for all sections at once."""
    return check(Params, _read(Path(path)))


class _Described(Section):
    survey: Data


def load_survey(path: str | Path) -> Data:
    """Read the description of a survey of light curves from a file of its own, with the keys of ``periodic.data``.

    Raises
    ------
    InputError
        As `load`; the message names the file.
    """
    return check(_Described, {"survey": _read(Path(path))}, str(path)).survey


def check(model: type[Section], content: object, name: str = "") -> Section:
    """Check dictionaries and lists, as read from YAML, against ``model``; the `InputError` names every faulty key.

    ``name`` is the key of the section itself.
    """
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(_line(model, fault, name) for fault in error.errors()))) from None


def _read(path: Path) -> dict:
    """Read a YAML file whose top level is a section."""
    try:
        raw = _bytes(path)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path} line {line}: not a text in UTF-8") from None
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
        if node is not None:
            _check_size(node, path)
        content = None if node is None else yaml.constructor.construct_document(node)
    except InputError:
        raise
    except Exception as error:  # ruamel.yaml raises ValueError, RecursionError, AttributeError and others as well
        raise InputError(f"{path}{_where(error)}: not valid YAML: {_problem(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a section of keys, got {_got(content)}")
    return content


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a file")
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{path}: larger than {LARGEST_FILE:,} bytes, the most that a parameter file can have")
    return path.read_bytes()


def _check_size(root: Node, path: Path) -> None:
    """Check that aliases do not multiply a few lines to billions of values, and that no number is absurdly long."""
    sizes: dict[int, int | None] = {}

    def size(node: Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = None
            sizes[id(node)] = 1 + sum(size(part) for part in _parts(node))
        if sizes[id(node)] is None:
            raise InputError(f"{path} line {node.start_mark.line + 1}: a value contains itself")
        if sizes[id(node)] > MOST_VALUES:
            raise InputError(f"{path} line {node.start_mark.line + 1}: more than {MOST_VALUES:,} values")
        number = str(node.tag).endswith((":int", ":float"))
        if number and isinstance(node, ScalarNode) and len(node.value) > LONGEST_NUMBER:
            raise InputError(f"{path} line {node.start_mark.line + 1}: a number of {len(node.value):,} characters")
        return sizes[id(node)]

    size(root)


def _parts(node: Node) -> list[Node]:
    if isinstance(node, ScalarNode):
        return []
    return [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    problem = (error.problem or error.context) if isinstance(error, MarkedYAMLError) else error
    return printable(str(problem).partition("\n")[0] or type(error).__name__)[:200]


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


_LIMITS = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "literal_error": "one of {expected}",
    "union_tag_not_found": "a section with a key {discriminator}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}


def _line(model: type[Section], fault: dict, name: str = "") -> str:
    """Describe one fault that pydantic found, in one line."""
    kind, got, limits = fault["type"], _got(fault["input"]), fault.get("ctx", {})
    location = tuple(part for part in fault["loc"] if part != "[key]")  # the key itself is faulty, not its value
    keys, section = _walk(model, location)
    key = ".".join(_cut(printable(part), 200) for part in ([name] if name else []) + keys) or "params.yaml"
    if kind in ("extra_forbidden", "invalid_key"):
        return f"{key}: unknown key (known here: {', '.join(sorted(_fields(section)))})"
    if kind == "missing":
        return f"{key}: missing"
    if kind == "value_error":
        below = f".{printable(limits['error'].key)}" if isinstance(limits["error"], BadKey) else ""
        return f"{key}{below}: {_cut(printable(limits['error']), 1000)}"
    if kind == "union_tag_invalid":
        tag = limits["discriminator"].strip("'")
        return f"{key}.{tag}: must be one of {limits['expected_tags']}, got {_got(fault['input'][tag])}"
    wanted = _TYPES.get(kind) or (kind in _LIMITS and _LIMITS[kind].format(**limits))
    if location != fault["loc"] and kind == "string_type":
        wanted = "a name of letters, digits, _ and -; in quotes if it has digits only"
    return f"{key}: must be {wanted}, got {got}" if wanted else f"{key}: {printable(fault['msg'])}, got {got}"


def _got(value: object) -> str:
    """Show a value in a message: at most 100 characters."""
    return _cut(repr(value), 100)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


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
