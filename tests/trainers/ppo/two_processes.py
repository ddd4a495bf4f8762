"""A program for torchrun: a PPO run on the tiny model, whose outcome each process writes into a folder.

torchrun --nproc_per_node 2 tests/trainers/ppo/two_processes.py FOLDER PROMPTS_PER_DEVICE
"""

import sys
from pathlib import Path

import torch
from transformers import TrainerCallback

from rlhf.models.roles import Roles
from tests.trainers.ppo.setup import ppo_trainer, shared_roles

OPTIONS = {
    "num_ppo_epochs": 2,
    "num_mini_batches": 2,
    "gradient_accumulation_steps": 2,
    "total_episodes": 64,
    "learning_rate": 5e-3,
    "whiten_rewards": True,
    "use_score_scaling": True,
    "target_kl": 0.05,
    "kl_horizon": 100,
    "missing_eos_penalty": 1.0,
}


class FirstGradients(TrainerCallback):
    """Keeps the gradients of the first step, and the logs."""

    def __init__(self) -> None:
        self.roles: Roles | None = None
        self.gradients: list[torch.Tensor] = []
        self.logs: list[dict[str, float]] = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if not self.gradients:
            groups = self.roles.role_parameters().values()
            self.gradients = [parameter.grad.clone() for group in groups for parameter in group]

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append({name: x for name, x in logs.items() if not name.startswith(("time/", "train_"))})


def main(folder: Path, per_device: int) -> None:
    watcher = FirstGradients()
    roles = shared_roles(value_layers=2)
    watcher.roles = roles
    trainer = ppo_trainer(folder, roles, callbacks=[watcher], per_device_train_batch_size=per_device, **OPTIONS)
    trainer.train()
    evaluation = trainer.evaluate()
    outcome = {
        "processes": trainer.accelerator.num_processes,
        "gradients": watcher.gradients,
        "logs": watcher.logs,
        "evaluation": evaluation,
        "weights": [p.detach().clone() for group in trainer.roles.role_parameters().values() for p in group],
    }
    torch.save(outcome, folder / f"process-{trainer.args.process_index}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
