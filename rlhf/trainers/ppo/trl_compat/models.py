"""The models of a script for TRL's PPO as our roles and our reward."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedTokenizerBase

from rlhf.errors import ConfigError, ModelError
from rlhf.models.adapters import tuner_layers
from rlhf.models.heads import ScalarHead
from rlhf.models.load import keep_4bit_weights_unpacked
from rlhf.models.scoring import bare
from rlhf.models.separate_roles import SeparateRoles
from rlhf.rewards.token_ids import TokenIdsReward
from rlhf.trainers.ppo.trl_compat.options import PPOConfig
from rlhf.trainers.ppo.trl_compat.vocabulary import check_vocabularies, read_unknown_ids_as_zero, rows_of


def build_roles(
    model: Any,
    ref_model: Any,
    reward_model: Any,
    value_model: Any,
    peft_config: Any,
    tokenizer: PreTrainedTokenizerBase,
    args: PPOConfig,
) -> SeparateRoles:
    """The policy, with an adapter of its own where `peft_config` is given, its reference, and the value model.

    The value model keeps its score head as the start of the values.

    Raises:
        ConfigError: models or options that can't go together.
        ModelError: a model that can't be what it is given as, or another vocabulary.
    """
    problems = list(_confusions(model, ref_model, reward_model, value_model, peft_config))
    if problems:
        raise ConfigError(
            "The models can't be trained together.", problems=problems, remedy="load each as its own object."
        )
    value_head = scalar_head(value_model, "value_model")
    readers = {"ref_model": ref_model, "reward_model": reward_model, "value_model": value_model}
    readers = {name: reader for name, reader in readers.items() if reader is not None}
    check_vocabularies(tokenizer, model, readers)
    policy = get_peft_model(model, copy.deepcopy(peft_config)) if peft_config is not None else model
    _check_policy(policy, ref_model, args)
    for each in (policy, *readers.values()):
        keep_4bit_weights_unpacked(each)
        read_unknown_ids_as_zero(each, largest=max(rows_of(policy) - 1, tokenizer.pad_token_id))
    return SeparateRoles(
        policy,
        _without_head(value_model),
        reference=ref_model,
        reference_adapter=args.ref_adapter_name,
        value_head=value_head,
    )


def build_reward(
    reward_model: Any, tokenizer: PreTrainedTokenizerBase, args: PPOConfig, device: torch.device
) -> TokenIdsReward:
    """The classifier as a reward on the policy's own tokens, in evaluation mode on the device."""
    head = scalar_head(reward_model, "reward_model")
    if not getattr(bare(reward_model), "is_quantized", False):  # bitsandbytes places quantized weights itself
        nn.Module.to(reward_model, device)
    size = args.local_rollout_forward_batch_size
    return TokenIdsReward(reward_model.eval(), head.to(device), tokenizer, batch_size=size)


def scalar_head(classifier: Any, what: str) -> ScalarHead:
    """The score head of a sequence classifier with one label, copied, in float32.

    Raises:
        ModelError: there is no such head.
    """
    head: Any = getattr(bare(classifier), "score", None)
    if hasattr(head, "modules_to_save"):  # PEFT keeps a trained copy beside the original
        head = head.modules_to_save[head.active_adapters[0]]
    if not isinstance(head, nn.Linear) or not head.weight.is_floating_point() or head.out_features != 1:
        found = f"{head.out_features} labels" if isinstance(head, nn.Linear) else "no linear head named `score`"
        raise ModelError(
            f"{what} ({type(bare(classifier)).__name__}) has {found}; it must have a score head of one label.",
            remedy="load it by AutoModelForSequenceClassification.from_pretrained(..., num_labels=1).",
        )
    scalar = ScalarHead(head.in_features, head.weight.detach().cpu())
    if head.bias is not None:
        scalar.shift(head.bias.detach().cpu().float())
    return scalar


def _confusions(model: Any, ref_model: Any, reward_model: Any, value_model: Any, peft_config: Any) -> Iterator[str]:
    given = {"model": model, "reward_model": reward_model, "value_model": value_model, "ref_model": ref_model}
    for name, value in given.items():
        if not isinstance(value, nn.Module) and not (name == "ref_model" and value is None):
            yield f"{name} is {value!r}, not a loaded model"
    if ref_model is not None and ref_model is model:
        yield "ref_model is model itself, so that it would move with it; give a copy, or None"
    if value_model is not None and value_model is reward_model:
        yield "value_model is reward_model itself, so that learning values would change rewards; load it twice"
    if peft_config is not None and not isinstance(peft_config, PeftConfig):
        yield f"peft_config is a {type(peft_config).__name__}, not a peft.PeftConfig such as LoraConfig"
    if peft_config is not None and isinstance(model, PeftModel):
        yield "peft_config is given for a model that has an adapter; merge that first, or leave peft_config out"


def _check_policy(policy: Any, ref_model: Any, args: PPOConfig) -> None:
    """What is trained of the policy must leave its reference as it was."""
    trained = [name for name, parameter in policy.named_parameters() if parameter.requires_grad]
    problems = list(_adapter_problems(policy, args))
    if not trained:
        problems.append("nothing of model is trainable; load its adapter with is_trainable=True")
    if isinstance(policy, PeftModel) and ref_model is None:
        adapter = policy.active_adapters[0]
        problems += [
            f"{name} is trained beside the adapter, and the reference, which is the policy without it, would move too; "
            "give a ref_model"
            for name in trained
            if "modules_to_save" in name or (f".{adapter}." not in name and not name.endswith(f".{adapter}"))
        ]
    if problems:
        raise ConfigError(
            "The policy can't be trained as it is.", problems=problems, remedy="change the model or its peft_config."
        )


def _adapter_problems(policy: Any, args: PPOConfig) -> Iterator[str]:
    names = {"model_adapter_name": args.model_adapter_name, "ref_adapter_name": args.ref_adapter_name}
    if not isinstance(policy, PeftModel):
        yield from (f"{option} is {name!r}, and model has no adapter" for option, name in names.items() if name)
        return
    if not tuner_layers(policy):
        yield f"an adapter of type {policy.peft_type} has no layers of its own; use LoRA"
    for option, name in names.items():
        if name and name not in policy.peft_config:
            yield f"{option} is {name!r}, and model has the adapters {', '.join(policy.peft_config)}"
    if args.model_adapter_name and args.model_adapter_name not in policy.active_adapters:
        yield (
            f"model_adapter_name is {args.model_adapter_name!r}, and {policy.active_adapters[0]!r} is active; "
            "call model.set_adapter(...) first"
        )


def _without_head(value_model: Any) -> Any:
    """The value model's layers; under an adapter, the whole of it with its own head out of training."""
    if not isinstance(value_model, PeftModel):
        return value_model.base_model
    for name, parameter in value_model.named_parameters():
        if ".score." in name:
            parameter.requires_grad_(False)
    return value_model
