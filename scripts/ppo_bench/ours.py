"""Our PPO on a workload, by the same route as recipes/ppo.py."""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
import json
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoConfig, TrainerCallback, set_seed

from ppo_bench.child import Recorder, read_spec
from ppo_bench.workload import THIRD, Workload
from rlhf.models.load import ModelOptions, load_tokenizer
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.ppo.build import RoleOptions, build_roles, build_scorer, load_separate_rewards
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.trainer import PPOTrainer
from rlhf.trainers.reward_options import RewardOptions


class Watch(TrainerCallback):
    """Takes the phases from the trainer's own log, which comes at the end of each rollout's training."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.recorder.start()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "time/generate" in logs:
            self.recorder.rollout_done(
                logs["time/generate"],
                logs["time/score"],
                logs["time/forward"],
                response_tokens=logs["response/length"],
                score_mean=logs["objective/scores"],
                kl=logs["objective/kl"],
            )


def build_trainer(spec: dict[str, Any], output_dir: str) -> tuple[PPOTrainer, dict[str, Any]]:
    """The trainer, and the options that differ from TRL's."""
    workload = Workload(**spec["workload"])
    lora = workload.lora_options()
    model_options = ModelOptions(
        spec["model"],
        dtype=workload.dtype,
        lora_r=lora["r"],
        lora_alpha=lora["lora_alpha"],
        lora_dropout=lora["lora_dropout"],
    )
    layers = AutoConfig.from_pretrained(spec["model"]).get_text_config().num_hidden_layers
    depth = max(layers // 3, 1) if spec["variant"] == THIRD else layers
    reward_options = RewardOptions(reward_model_path=spec["reward"])
    role_options = RoleOptions(policy_layers=depth, value_layers=depth)
    own = {"generation_batch_size": workload.rollout_batch_size}
    options = workload.ppo_options(spec["warmup"] + spec["steps"])
    args = PPOConfig(output_dir=output_dir, **(trainer_defaults() | options | own))
    tokenizer = load_tokenizer(spec["model"])
    separate_rewards = load_separate_rewards(reward_options, model_options)
    set_seed(workload.seed)
    roles = build_roles(model_options, reward_options, role_options, args)
    rows = [{"prompt": row["prompt"]} for row in json.loads(Path(spec["prompts"]).read_text(encoding="utf-8"))]
    trainer = PPOTrainer(
        roles=roles,
        scorer=build_scorer(roles, tokenizer, separate_rewards, reward_options, args),
        args=args,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
    )
    return trainer, own | {"policy_layers": depth, "value_layers": depth}


def main() -> None:
    spec = read_spec()
    recorder = Recorder(spec["warmup"])
    with tempfile.TemporaryDirectory() as output_dir:
        trainer, own = build_trainer(spec, output_dir)
        trainer.add_callback(Watch(recorder))
        trainer.train()
    recorder.finish(own_options=own)


if __name__ == "__main__":
    main()
