"""Adapters in folders, as the stages before PPO leave them."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from rlhf.models.load import ModelOptions, load_tokenizer
from rlhf.models.reward_model import new_reward_model
from tests.tiny import save_tiny, tiny_causal_lm


def save_stages(folder: Path) -> Path:
    """A base, an SFT adapter on it and a reward run from that, in `base`, `sft` and `reward`; none is like another."""
    base = save_tiny(folder / "base")
    torch.manual_seed(1)
    sft = get_peft_model(tiny_causal_lm(), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    sft.peft_config["default"].base_model_name_or_path = str(base)
    sft.save_pretrained(folder / "sft", save_embedding_layers=False)
    reward = new_reward_model(ModelOptions(model_name_or_path=str(base), adapter=str(folder / "sft")))
    with torch.no_grad():
        for parameter in reward.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    reward.save_pretrained(folder / "reward", save_embedding_layers=False)
    load_tokenizer(str(base)).save_pretrained(folder / "reward")
    return folder
