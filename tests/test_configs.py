"""Every YAML that is shipped loads with the options of the recipe that it is for."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlhf.config import parse

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "recipes" / "configs").rglob("*.yaml"))
LAUNCHES = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))
LAUNCH = re.compile(r"recipes/(\w+)\.py --config")
# Configurations of a recipe that isn't called as they are.
RECIPE = {"gold": "reward"}


def recipe_of(config: Path) -> str:
    """The recipe that a configuration is for, by its name or by the launch command in its comments."""
    command = LAUNCH.search(config.read_text(encoding="utf-8"))
    return command[1] if command else RECIPE.get(config.stem, config.stem)


def options_of(recipe: str) -> list[type[Any]]:
    """The option classes that the recipe hands to `parse`."""
    module = importlib.import_module(f"recipes.{recipe}")
    tree = ast.parse((ROOT / "recipes" / f"{recipe}.py").read_text(encoding="utf-8"))
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "parse")
    return [getattr(module, ast.unparse(argument)) for argument in call.args]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_s_configuration_loads(config: Path) -> None:
    from rlhf.trainers.machine import trainer_defaults

    options = options_of(recipe_of(config))
    assert len(parse(*options, argv=["--config", str(config)], defaults=trainer_defaults())) == len(options)


@pytest.mark.parametrize("config", LAUNCHES, ids=lambda path: path.stem)
def test_a_launch_configuration_loads(config: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(config))
    unknown = set(yaml.safe_load(config.read_text(encoding="utf-8"))) - set(vars(loaded))
    assert not unknown
