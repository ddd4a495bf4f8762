"""The model card of a policy, as the hub reads it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from peft import PeftModel

from rlhf.models.scoring import bare


def model_card(policy: Any, name: str, dataset_name: str | None, tags: Sequence[str], *, trained: str) -> str:
    """The card's text: metadata, then what was trained.

    Args:
        policy: says what it was loaded from.
        name: of the model.
        dataset_name: of the prompts, where it is known.
        tags: beside those of the method.
        trained: on how much.
    """
    source = str(bare(policy).config._name_or_path or "")
    on_the_hub = bool(source) and not Path(source).is_dir()
    data = ModelCardData(
        model_name=name,
        base_model=source if on_the_hub else None,
        library_name="peft" if isinstance(policy, PeftModel) else "transformers",
        datasets=[dataset_name] if dataset_name else None,
        tags=sorted({"ppo", "rlhf", *tags}),
    )
    start = f"[{source}](https://huggingface.co/{source})" if on_the_hub else source or "a model made for it"
    prompts = f" on prompts of `{dataset_name}`" if dataset_name else ""
    return f"---\n{data.to_yaml()}\n---\n\n# {name}\n\nA policy trained by PPO from {start}{prompts}: {trained}.\n"
