"""Options: dataclasses, filled from a YAML file and the command line, strictly.

    accelerate launch recipes/ppo.py --config recipes/configs/film_reviews/ppo.yaml --learning_rate 1e-5

A recipe names its option dataclasses and gets them back filled: the command line wins over the file, the file over
the machine's defaults, those over the dataclass. Every field is documented once, where it is defined. Unknown keys,
wrong types and missing values are collected and reported together, each with its file and line and the nearest known
name. Unlike argparse, an option is never accepted by a prefix of its name.
"""

import dataclasses
import difflib
import enum
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from rlhf.config_yaml import read_yaml_options
from rlhf.errors import ConfigError

RESOLVED = "__resolved_options__"


@dataclasses.dataclass(frozen=True)
class Field:
    """One option: where it belongs and what it accepts."""

    name: str
    owner: type
    annotation: Any
    default: Any
    help: str

    @property
    def members(self) -> tuple[Any, ...]:
        """The alternatives of a union annotation; a single annotation is its own only alternative."""
        if typing.get_origin(self.annotation) in (typing.Union, types.UnionType):
            return typing.get_args(self.annotation)
        return (self.annotation,)

    def accepts(self, *kinds: type) -> bool:
        return any((typing.get_origin(member) or member) in kinds for member in self.members)

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    @property
    def type_name(self) -> str:
        names = [getattr(m, "__name__", str(m)) if typing.get_origin(m) is None else str(m) for m in self.members]
        return " | ".join(name.replace("typing.", "").replace("NoneType", "null") for name in names)


@dataclasses.dataclass(frozen=True)
class Given:
    """A value as someone wrote it, and where."""

    value: Any
    where: str


def parse(
    *option_classes: type,
    argv: Sequence[str] | None = None,
    description: str = "",
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Any, ...]:
    """Fill the option classes from `--config FILE` and `--key value`.

    Args:
        option_classes: dataclasses without a field in common.
        argv: the arguments after the program's name; `sys.argv[1:]` by default.
        description: what `--help` says first.
        defaults: values that stand in for a field's own default (for example those that fit this machine).

    Returns:
        One instance for each class, in their order.

    Raises:
        ConfigError: with every problem found.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    fields = option_fields(option_classes)
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(_help_text(option_classes, fields, description) + "\n")
        raise SystemExit(0)
    problems: list[str] = []
    given = {name: Given(value, "default") for name, value in (defaults or {}).items() if name in fields}
    flags = _read_command_line(arguments, fields, problems)
    config = flags.pop("config", None)
    if config is not None:
        given |= _read_file(config.value, fields, problems)
    given |= flags
    values = _convert_all(given, fields, problems)
    problems += [
        f"--{field.name} is required ({field.type_name}): {field.help}"
        for field in fields.values()
        if field.required and field.name not in given
    ]
    _raise_for(problems)
    return tuple(_build(cls, values, fields) for cls in option_classes)


def resolved(options: object) -> dict[str, Any]:
    """All values of an options object in a form that YAML holds and `parse` reads back."""
    values = getattr(options, RESOLVED, None)
    if values is None:
        values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options) if f.init}  # type: ignore[arg-type]
    return {name: _plain(value) for name, value in values.items()}


def option_fields(option_classes: Sequence[type]) -> dict[str, Field]:
    """The options of several dataclasses by name; a name in two of them is a mistake of ours."""
    fields: dict[str, Field] = {}
    for cls in option_classes:
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if not field.init:
                continue
            if field.name in fields:
                raise TypeError(f"{field.name} is an option of {cls.__name__} and {fields[field.name].owner.__name__}")
            help_text = " ".join(str(field.metadata.get("help", "")).split())
            fields[field.name] = Field(field.name, cls, hints[field.name], _default_of(field), help_text)
    return fields


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _read_command_line(arguments: list[str], fields: dict[str, Field], problems: list[str]) -> dict[str, Given]:
    given: dict[str, Given] = {}
    position = 0
    while position < len(arguments):
        token = arguments[position]
        position += 1
        if not token.startswith("--"):
            problems.append(f"command line: {token!r} stands alone; options are written --name value")
            continue
        name, has_value, value = token[2:].partition("=")
        name = name.replace("-", "_")
        values = [value] if has_value else []
        while not has_value and position < len(arguments) and not arguments[position].startswith("--"):
            values.append(arguments[position])
            position += 1
        if name in given:
            problems.append(f"command line: --{name} is given twice")
        given[name] = Given(_from_tokens(name, values, fields, problems), f"command line: --{name}")
    return {name: g for name, g in given.items() if name == "config" or _is_known(name, g.where, fields, problems)}


def _from_tokens(name: str, tokens: list[str], fields: dict[str, Field], problems: list[str]) -> Any:
    """The value that the words after `--name` stand for, before its type is checked."""
    field = fields.get(name)
    if field is None:
        if name == "config" and len(tokens) != 1:
            problems.append("command line: --config takes one YAML file")
        return tokens[0] if tokens else None
    if field.accepts(list, tuple) and (len(tokens) > 1 or not field.accepts(str)):
        return tokens
    if not tokens:
        if not field.accepts(bool):
            problems.append(f"command line: --{name} needs a value ({field.type_name})")
        return True
    if len(tokens) > 1:
        problems.append(f"command line: --{name} takes one value, got {len(tokens)}: {' '.join(tokens)}")
    return _from_token(tokens[0], field)


def _from_token(token: str, field: Field) -> Any:
    if token.lower() in ("none", "null") and field.accepts(types.NoneType):
        return None
    if field.accepts(dict) and token.lstrip().startswith("{"):
        try:
            return json.loads(token)
        except json.JSONDecodeError:
            return yaml.safe_load(token)
    return token


def _read_file(path: Any, fields: dict[str, Field], problems: list[str]) -> dict[str, Given]:
    entries = read_yaml_options(Path(str(path)), problems)
    given = {name: Given(value, f"{path}:{line}: {name}") for name, (value, line) in entries.items()}
    return {name: g for name, g in given.items() if _is_known(name, g.where, fields, problems)}


def _is_known(name: str, where: str, fields: dict[str, Field], problems: list[str]) -> bool:
    if name in fields:
        return True
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else "; --help lists the options"
    problems.append(f"{where}: unknown option{hint}")
    return False


def _convert_all(given: dict[str, Given], fields: dict[str, Field], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, item in given.items():
        try:
            values[name] = _convert(item.value, fields[name])
        except (ValueError, TypeError) as error:
            problems.append(f"{item.where}: {error}")
    return values


def _convert(value: Any, field: Field) -> Any:
    if isinstance(value, bool) and not field.accepts(bool) and field.accepts(int, float):
        raise ValueError(f"expected {field.type_name}, got {value!r}")
    try:
        return TypeAdapter(field.annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ValueError(f"expected {field.type_name}, got {value!r} ({reason})") from error


def _build(cls: type, values: dict[str, Any], fields: dict[str, Field]) -> Any:
    own = {name: values[name] for name in values if fields[name].owner is cls}
    all_values = {f.name: f.default for f in fields.values() if f.owner is cls and not f.required} | own
    before = {name: _plain(value) for name, value in all_values.items()}
    try:
        options = cls(**own)
    except (ValueError, TypeError, ImportError) as error:
        raise ConfigError(f"The options of {cls.__name__} don't fit together: {error}") from error
    object.__setattr__(options, RESOLVED, before)
    return options


def _raise_for(problems: list[str]) -> None:
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "A problem"
        raise ConfigError(
            f"{count} with the options:",
            problems=problems,
            remedy="correct the names or values above; --help lists every option with its type and default.",
        )


def _plain(value: Any) -> Any:
    """A value as YAML can hold it."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _help_text(option_classes: Sequence[type], fields: dict[str, Field], description: str) -> str:
    lines = [
        description.strip(),
        "",
        "  --config FILE",
        "      a YAML file of the options below; the command line wins over it",
    ]
    for cls in option_classes:
        lines += ["", f"{cls.__name__}:"]
        for field in fields.values():
            if field.owner is cls:
                default = "required" if field.required else f"default: {_plain(field.default)}"
                lines += [f"  --{field.name} {field.type_name}  ({default})", f"      {field.help}"]
    return "\n".join(lines)
