"""What a model folder must hold, checked before torch is imported or a weight is read.

Three kinds of folder are told apart by their configuration files:

    a model      config.json + weights + tokenizer       as `save_pretrained` writes it
    an adapter   adapter_config.json + adapter weights   as PEFT writes it; names its base model
    neither      an error that lists what is missing

A name that is no local path (`org/name`) is a model of the hub and is passed through unseen.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.errors import ModelError

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
TOKENIZER = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class Location:
    """Where a model comes from: its base (a folder or a hub id), and an adapter folder if there is one."""

    base: str
    adapter: str | None = None


def is_local(name: str | Path) -> bool:
    """Whether `name` means a place on this machine: it exists, or it can't be a hub id."""
    text = str(name)
    looks_local = text.startswith(("/", ".", "~")) or text.count("/") > 1 or "\\" in text
    return looks_local or Path(text).exists()


def is_adapter_folder(name: str | Path) -> bool:
    """Whether `name` is a local folder with an adapter in it."""
    return (Path(name).expanduser() / ADAPTER_CONFIG).is_file()


def check_model_folder(name: str | Path) -> None:
    """Check that a local folder is a whole model folder. Hub ids pass.

    Raises:
        ModelError: the folder is missing, or isn't a model folder; says what it lacks.
    """
    if not is_local(name):
        return
    folder = _existing_folder(name)
    if is_adapter_folder(folder):
        raise ModelError(
            f"{folder} holds an adapter, not a whole model.",
            remedy="Give it as `adapter`; its base model is read from its adapter_config.json.",
        )
    problems = _missing_parts(folder, CONFIG, WEIGHTS) + _missing_shards(folder)
    if not any((folder / part).is_file() for part in TOKENIZER):
        problems.append(f"no tokenizer ({', '.join(TOKENIZER[:2])}, …)")
    if (folder / CONFIG).is_file() and "model_type" not in read_json(folder / CONFIG):
        problems.append(f"{CONFIG} does not say its `model_type`")
    if problems:
        raise _not_a_folder_for(folder, "a model folder", problems)


def check_adapter_folder(name: str | Path) -> dict[str, Any]:
    """Check that a local folder holds an adapter, and return its configuration.

    Raises:
        ModelError: the folder is missing, has no adapter in it, or names no base model.
    """
    folder = _existing_folder(name)
    problems = _missing_parts(folder, ADAPTER_CONFIG, ADAPTER_WEIGHTS)
    if problems:
        raise _not_a_folder_for(folder, "an adapter folder", problems)
    config = read_json(folder / ADAPTER_CONFIG)
    if not config.get("base_model_name_or_path"):
        raise ModelError(
            f"{folder / ADAPTER_CONFIG} does not name its base model.",
            remedy="Set `base_model_name_or_path` there to the folder or hub id of the base.",
        )
    return config


def locate(model: str | None, adapter: str | None = None) -> Location:
    """Find the base and the adapter behind the options `model_name_or_path` and `adapter`, and check both.

    `model` may itself be an adapter folder; a missing `model` is read from the adapter's configuration.

    Raises:
        ModelError: neither is given, one of them is not what it should be, or both are adapters.
    """
    if model is not None and is_adapter_folder(model):
        if adapter is not None:
            raise ModelError(
                f"{model} and {adapter} are both adapters.",
                remedy="Give one of them as `adapter`, and the base model as `model_name_or_path`.",
            )
        model, adapter = None, str(model)
    if adapter is not None:
        base = check_adapter_folder(adapter)["base_model_name_or_path"]
        model = str(model or base)
    if model is None:
        raise ModelError("No model was given.", remedy="Set `model_name_or_path` to a model folder or a hub id.")
    check_model_folder(model)
    return Location(model, adapter)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that isn't one is a `ModelError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}", remedy="Write or download the folder anew.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object.", remedy="Write or download the folder anew.")
    return value


def _existing_folder(name: str | Path) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    what = "is a file, not a model folder" if folder.is_file() else "does not exist"
    raise ModelError(
        f"{folder} {what}.",
        remedy="Check the path. `python scripts/fetch_assets.py` writes the default model to assets/model; "
        "an earlier recipe writes its adapter to its output_dir.",
    )


def _missing_parts(folder: Path, config: str, weights: tuple[str, ...]) -> list[str]:
    problems = [] if (folder / config).is_file() else [f"no {config}"]
    found = [folder / part for part in weights if (folder / part).is_file()]
    if not found:
        problems.append(f"no weights ({' or '.join(weights[:2])})")
    return problems + [f"{part.name} is empty" for part in found if part.stat().st_size == 0]


def _missing_shards(folder: Path) -> list[str]:
    indexes = [path for name in WEIGHTS if name.endswith(".index.json") and (path := folder / name).is_file()]
    shards = {shard for path in indexes for shard in read_json(path).get("weight_map", {}).values()}
    return [f"no {shard}, which the index lists" for shard in sorted(shards) if not (folder / shard).is_file()]


def _not_a_folder_for(folder: Path, what: str, problems: list[str]) -> ModelError:
    return ModelError(
        f"{folder} is not {what}.",
        problems=problems,
        remedy="Point to a folder written by `save_pretrained` (a model) or by a recipe (an adapter).",
    )
