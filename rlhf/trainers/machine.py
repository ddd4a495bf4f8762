"""Trainer options that fit the machine at hand, as defaults that a file or the command line overrides."""

import os

import torch

from rlhf.errors import ConfigError


def has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def trainer_defaults() -> dict[str, object]:
    """Defaults for any `TrainingArguments`: TRL's own assume a GPU (bf16 autocast, checkpointed activations).

    Nothing is reported to a tracker unless `report_to` names one.

    Raises:
        ConfigError: the launcher was asked for several processes, and started one.
    """
    require_all_processes()
    # All that is trained takes part in every step; looking for what does not would cost a pass over the graph.
    common: dict[str, object] = {"report_to": "none", "ddp_find_unused_parameters": False}
    if has_accelerator():
        return common
    return common | {
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }


def require_all_processes() -> None:
    """Refuse to go on where `accelerate launch` started fewer processes than it was asked for.

    Without GPUs, `--num_processes 2` starts one process and tells it where the others would meet (accelerate 1.15).

    Raises:
        ConfigError: names the command that starts them all.
    """
    environment = os.environ
    by_accelerate = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_ADDR" in environment
    if by_accelerate and not any(name in environment for name in ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE")):
        raise ConfigError(
            "`accelerate launch` was asked for several processes, and started one.",
            remedy="on CPUs launch with `ACCELERATE_USE_CPU=true torchrun --nproc_per_node N recipes/NAME.py …`, on "
            "GPUs with --multi_gpu; where one process is wanted, leave MASTER_ADDR out of the environment.",
        )
