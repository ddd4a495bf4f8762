"""An adapter and its base as one model folder, for programs that know no adapters."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf.errors import ModelError
from rlhf.models.folders import check_adapter_folder, check_model_folder
from rlhf.models.load import ModelOptions, align_pad_token, load_base, load_tokenizer
from rlhf.models.reward_model import load_reward_model


def merge_adapter(adapter: str, output: str | Path, *, dtype: str = "auto") -> Path:
    """Fold an adapter into its base and write a whole model folder with its tokenizer.

    The sum is made in float32 and rounded once. The base is always read in its whole weights, never in 4 bits: what a
    4-bit base would add up to is not what it computes with. A reward model keeps its score head.

    Args:
        adapter: a folder with an adapter of a language model or a reward model.
        output: the folder to write; it has to be empty or absent.
        dtype: of the weights written; "auto" is what the base is stored in.

    Raises:
        ModelError: the adapter or its base can't be used, or `output` holds files already.
    """
    config = check_adapter_folder(adapter)
    base = str(config["base_model_name_or_path"])
    check_model_folder(base)
    folder = Path(output)
    if folder.is_dir() and any(folder.iterdir()):
        raise ModelError(f"{folder} is not empty.", remedy="Name a new folder.")
    model = _load_whole(adapter, base, is_reward=config.get("task_type") == "SEQ_CLS")
    stored = _stored_dtype(base) if dtype == "auto" else getattr(torch, dtype)
    merged = model.merge_and_unload(safe_merge=True)
    tokenizer = load_tokenizer(adapter)
    align_pad_token(merged, tokenizer)
    merged.to(stored).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _load_whole(adapter: str, base: str, is_reward: bool) -> Any:
    """The base in float32 with the adapter beside it."""
    if is_reward:
        return load_reward_model(adapter, dtype="float32", device="cpu")
    model: Any = load_base(AutoModelForCausalLM, base, ModelOptions(base, dtype="float32"))
    if getattr(model, "is_quantized", False):  # a base that is stored in 4 bits
        model = model.dequantize()
    return PeftModel.from_pretrained(model, adapter)


def _stored_dtype(base: str) -> torch.dtype:
    return AutoConfig.from_pretrained(base).dtype or torch.float32
