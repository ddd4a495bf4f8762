"""Trainer options that fit the machine at hand, as defaults that a file or the command line overrides."""

import torch


def has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def trainer_defaults() -> dict[str, object]:
    """Defaults for any `TrainingArguments`: TRL's own assume a GPU (bf16 autocast, checkpointed activations).

    Nothing is reported to a tracker unless `report_to` names one.
    """
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
