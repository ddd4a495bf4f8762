"""Tiny models on disk: a base, adapters with random weights, and reward models, as an evaluation finds them."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from tests.tiny import save_tiny, tiny_causal_lm, tiny_classifier, tiny_tokenizer

PROMPTS = ["Film review: A great", "Film review: The plot", "Film review: The jokes are", "Film review: A"]
TEXTS = ["The capital of France is Paris.", "one two three four five", "a helpful assistant", "good better best"]


def save_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter on all linear layers of the tiny model, with random weights on both sides."""
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    base_model = tiny_causal_lm()
    torch.manual_seed(seed)
    model = get_peft_model(base_model, config)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def save_reward_model(folder: Path, seed: int) -> Path:
    tiny_classifier(seed=seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def write_jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_world(folder: Path) -> dict[str, Path]:
    """Models and data for a whole evaluation, all in `folder`."""
    base = save_tiny(folder / "base")
    comparisons = [
        {
            "prompt": "Film review:",
            "chosen": f" great {n}",
            "rejected": f" awful {n + k}",
            "margin": k / 8,
            "agreement": 0.8,
        }
        for n in range(6)
        for k in (1, 2, 3)
    ]
    return {
        "base": base,
        "sft": save_adapter(base, folder / "sft", seed=1),
        "ppo": save_adapter(base, folder / "ppo", seed=2),
        "reward": save_reward_model(folder / "reward", seed=3),
        "gold": save_reward_model(folder / "gold", seed=4),
        "prompts": write_jsonl(folder / "prompts.jsonl", [{"prompt": f"{p} {n}"} for n in range(4) for p in PROMPTS]),
        "comparisons": write_jsonl(folder / "comparisons.jsonl", comparisons),
        "general": write_jsonl(folder / "general.jsonl", [{"text": text} for text in TEXTS]),
    }
