"""A flat YAML mapping of options, each with the line it stands on."""

import re
from pathlib import Path
from typing import Any

import yaml

from rlhf.errors import ConfigError


class _OptionLoader(yaml.SafeLoader):
    """Safe YAML in which `1e-5` is a number, as in YAML 1.2 (YAML 1.1 reads it as a string)."""


_OptionLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml_options(path: Path, problems: list[str]) -> dict[str, tuple[Any, int]]:
    """Read the options of a file.

    Args:
        path: the YAML file; its top level is a mapping from option to value.
        problems: keys that are no words or stand twice are added here.

    Returns:
        For each option its value and its line (from 1).

    Raises:
        ConfigError: when the file is missing or isn't YAML of that form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The configuration file {path} can't be read: {error.strerror}.",
            remedy="give an existing YAML file with --config; the shipped ones lie in recipes/configs/.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.", remedy="save it as UTF-8.") from error
    loader = _OptionLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path} is not a list of options.", remedy="write one `name: value` on each line.")
        options: dict[str, tuple[Any, int]] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problems.append(f"{path}:{line}: {key!r}: an option's name must be a word")
            elif key in options:
                problems.append(f"{path}:{line}: {key} stands twice (first on line {options[key][1]})")
            else:
                options[key] = (loader.construct_object(value_node, deep=True), line)
        return options
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}{line} is not valid YAML: {reason}.", remedy="mend that line.") from error
    finally:
        loader.dispose()
