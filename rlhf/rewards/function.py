"""Python functions as rewards, found by their dotted names and watched as they run."""

import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rlhf.errors import ConfigError, TrainingError
from rlhf.rewards.base import Scores, Text

DOTTED_NAME = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*$")


class FunctionReward:
    """A function with the signature of TRL's `reward_funcs`: `function(prompts, completions, **columns) -> scores`.

    What it returns is checked at each call, so that a NaN stops the run where it arises.
    """

    def __init__(self, function: Callable[..., Sequence[float | None]], name: str | None = None):
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    @classmethod
    def by_name(cls, dotted: str) -> "FunctionReward":
        """The function `package.module:function` (or `package.module.function`).

        Modules are looked for in the current directory too.

        Raises:
            ConfigError: it can't be imported, or isn't a function.
        """
        module_name, separator, attribute = dotted.rpartition(":" if ":" in dotted else ".")
        if not (separator and module_name and attribute):
            raise ConfigError(f"{dotted!r} is not a dotted name.", remedy="Write it as package.module:function.")
        module = _import(module_name, dotted)
        function = getattr(module, attribute, None)
        if not callable(function):
            what = "no function of that name" if function is None else f"a {type(function).__name__} under that name"
            raise ConfigError(
                f"The reward {dotted} can't be used: {module_name} has {what}.",
                remedy="Write it as package.module:function.",
            )
        return cls(function, dotted)

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        try:
            returned = self.function(prompts=prompts, completions=completions, **columns)
        except Exception as error:
            raise TrainingError(
                f"The reward function {self.name} raised {type(error).__name__}: {error}",
                remedy="Its signature has to be function(prompts, completions, **columns) -> list of numbers.",
            ) from error
        return self._checked(returned, len(completions))

    def _checked(self, returned: Any, count: int) -> Scores:
        values = returned.tolist() if hasattr(returned, "tolist") else returned
        if not isinstance(values, list | tuple) or len(values) != count:
            got = f"{len(values)} scores" if isinstance(values, list | tuple) else f"a {type(values).__name__}"
            raise TrainingError(
                f"The reward function {self.name} returned {got} for {count} completions.",
                remedy="Return a list with one number, or None, for each completion.",
            )
        bad = [f"completion {i}: {value!r}" for i, value in enumerate(values) if not _is_score(value)]
        if bad:
            raise TrainingError(
                f"The reward function {self.name} returned values that are no finite numbers.",
                problems=bad,
                remedy="Return a finite number, or None where a completion has no score.",
            )
        return [None if value is None else float(value) for value in values]


def _is_score(value: Any) -> bool:
    try:
        return value is None or math.isfinite(value)
    except TypeError:
        return False


def _import(module_name: str, dotted: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(module_name)
    except Exception as error:  # the module is the user's, and may raise anything
        raise ConfigError(
            f"The reward {dotted} can't be imported: {type(error).__name__}: {error}",
            remedy="Run from the directory that holds the module, or install its package.",
        ) from error
