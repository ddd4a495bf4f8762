"""Dependencies point one way, and what needs no torch loads none. CONTRIBUTING.md draws the same picture in words."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up: a module imports from its own layer and from those beneath it.
LAYERS = [
    ["errors", "config", "config_yaml", "runs", "plots", "svg"],
    ["data", "stats"],
    ["models", "rewards", "generation", "best_of_n"],
    ["trainers", "evaluation"],
    ["cli", "cli_sample", "cli_selfcheck"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

TORCH_FREE = ["rlhf", "rlhf.errors", "rlhf.config", "rlhf.runs", "rlhf.data", "rlhf.stats", "rlhf.rewards", "rlhf.svg"]
TORCH_FREE += [f"rlhf.data.{name}" for name in ("schema", "readers", "validate", "split")]
HEAVY = ["torch", "transformers", "trl", "peft", "accelerate", "datasets", "gradio", "wandb"]

# What the labelling app may take from the library: the part that loads no torch.
FOR_THE_APP = ("rlhf.errors", "rlhf.config", "rlhf.runs", "rlhf.data", "rlhf.stats", "rlhf.svg")
# The one module of the app that scores items with a reward model; it is imported when asked for.
APP_SCORING = "labeling_app.scoring"


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Dotted name and file of every module of a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, inside functions too, with its line.

    `from rlhf import errors` counts as both `rlhf` and `rlhf.errors`.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: write the import out in full"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def part_of(module: str) -> str | None:
    """The direct member of `rlhf` that a module belongs to, such as "data"; None outside of it."""
    parts = module.split(".")
    return parts[1] if parts[0] == "rlhf" and len(parts) > 1 and parts[1] in LEVEL else None


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


LIBRARY = dict(modules("rlhf"))


def test_every_module_of_the_library_has_a_layer() -> None:
    found = {name.split(".")[1] for name in LIBRARY if "." in name}
    assert found <= set(LEVEL), f"name the layer of {found - set(LEVEL)} in LAYERS"


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_imports_downwards_only(name: str) -> None:
    own = part_of(name)
    if own is None:  # rlhf/__init__.py offers the public classes of every layer
        return
    upward = [
        f"line {line}: {imported}"
        for imported, line in imports(LIBRARY[name])
        if (part := part_of(imported)) is not None and LEVEL[part] > LEVEL[own]
    ]
    assert not upward, f"{name} imports from a layer above its own: {upward}"


def test_the_library_knows_no_app_recipe_or_script() -> None:
    outside = [
        f"{name}:{line}: {imported}"
        for name, path in LIBRARY.items()
        for imported, line in imports(path)
        if within(imported, "gradio", "labeling_app", "recipes", "scripts", "tests")
    ]
    assert not outside


def test_the_app_takes_only_the_part_without_torch() -> None:
    wrong = [
        f"{name}:{line}: {imported}"
        for name, path in modules("labeling_app")
        if name != APP_SCORING
        for imported, line in imports(path)
        if within(imported, *HEAVY[:6]) or (within(imported, "rlhf") and not within(imported, "rlhf", *FOR_THE_APP))
        if imported != "rlhf"
    ]
    assert not wrong


@pytest.mark.parametrize("module", TORCH_FREE)
def test_importing_loads_nothing_heavy(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.fail(f"{module} does not exist")
    program = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
