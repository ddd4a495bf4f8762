"""What both sides are given: prompts of one length, a reward model, and the precision that `auto` stands for.

The reward model is an adapter on the policy's base that adds nothing yet, and a head of seeded random weights: a whole
classifier with that head computes the same scores. What it scores doesn't matter here, only what that costs.
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from ppo_bench.child import read_spec, write_result
from ppo_bench.machine import ask_torch
from ppo_bench.workload import Workload
from rlhf.data import load_rows
from rlhf.data.chat import prompt_ids
from rlhf.errors import ConfigError, DataError, exit_on_error
from rlhf.models.load import ModelOptions, context_length, load_tokenizer
from rlhf.models.reward_model import HEAD, new_reward_model


def fixed_prompts(tokenizer: Any, texts: Iterable[Any], tokens: int, count: int) -> list[str]:
    """`count` prompts of exactly so many tokens: the beginnings of the texts, over again where they are too few.

    Raises:
        DataError: not one text is that long.
    """
    found: dict[str, None] = {}
    for text in texts:
        ids = prompt_ids(tokenizer, text)[:tokens] if isinstance(text, str) else []
        cut = tokenizer.decode(ids, skip_special_tokens=True)
        if len(ids) == tokens and prompt_ids(tokenizer, cut) == ids:
            found[cut] = None
    if not found:
        raise DataError(
            f"No prompt has {tokens} tokens or more that read the same when they are cut off there.",
            remedy="lower --prompt_tokens, or name longer prompts by --dataset_name.",
        )
    prompts = list(found)
    return [prompts[i % len(prompts)] for i in range(count)]


def write_reward_adapter(model: str, workload: Workload, folder: Path) -> None:
    """A reward model as recipes/reward.py leaves one, before its first step, with a head of a known seed."""
    lora = workload.lora_options()
    options = ModelOptions(
        model, dtype=workload.dtype, lora_r=lora["r"], lora_alpha=lora["lora_alpha"], lora_dropout=0.0
    )
    reward = new_reward_model(options)
    (head,) = (p for name, p in reward.named_parameters() if f".{HEAD}.modules_to_save." in name and "weight" in name)
    generator = torch.Generator().manual_seed(workload.seed)
    head.data.copy_(torch.randn(head.shape, generator=generator) / head.shape[-1] ** 0.5)
    reward.save_pretrained(str(folder))


def require_room(model: str, tokens: int) -> None:
    """Refuse sequences that are longer than the model's context.

    Raises:
        ConfigError: they are.
    """
    context = context_length(model)
    if context is not None and tokens > context:
        raise ConfigError(
            f"Prompt and response have {tokens:,} tokens, and the model's context {context:,}.",
            remedy="lower --prompt_tokens or --response_length (in --scaling, --lengths).",
        )


@exit_on_error()
def main() -> None:
    spec = read_spec()
    workload, folder = Workload(**spec["workload"]), Path(spec["folder"])
    require_room(spec["model"], workload.prompt_tokens + spec["longest_response"])
    tokenizer = load_tokenizer(spec["model"])
    texts = [row["prompt"] for row in load_rows(spec["dataset_name"], "prompts")]
    prompts = fixed_prompts(tokenizer, texts, workload.prompt_tokens, spec["prompts"])
    (folder / "prompts.json").write_text(json.dumps([{"prompt": prompt} for prompt in prompts]), encoding="utf-8")
    write_reward_adapter(spec["model"], workload, folder / "reward")
    layers = AutoConfig.from_pretrained(spec["model"]).get_text_config().num_hidden_layers
    facts = {"layers": layers, "distinct_prompts": len(set(prompts))}
    write_result(facts | ask_torch(workload.dtype))


if __name__ == "__main__":
    main()
