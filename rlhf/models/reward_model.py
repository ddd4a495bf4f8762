"""Sequence classifiers with one label: built for training from an SFT adapter, loaded from a run or any folder."""

from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    TaskType,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.utils import load_peft_weights
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from trl.trainer.reward_trainer import suppress_seqcls_warning

from rlhf.errors import ModelError
from rlhf.models.folders import check_adapter_folder, check_model_folder, is_adapter_folder
from rlhf.models.load import ModelOptions, Tuning, align_pad_token, hub_errors, load_base, load_tokenizer, lora_config

HEAD = "score"


class Float32Head(nn.Linear):
    """A linear head that computes in float32, whatever the dtype of the states it is given, under autocast too.

    Scores of a bfloat16 head are so coarse (steps of 0.03 near 5) that close responses tie.
    """

    @classmethod
    def of(cls, linear: nn.Linear) -> "Float32Head":
        """The same weights as a float32 head on the same device."""
        head = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device=linear.weight.device)
        head.load_state_dict({name: weight.float() for name, weight in linear.state_dict().items()})
        return head

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., H] -> [..., labels]"""
        with torch.autocast(hidden.device.type, enabled=False):
            return super().forward(hidden.float())


def new_reward_model(options: ModelOptions) -> PreTrainedModel | PeftModel:
    """A reward model ready to train: the base with a fresh float32 head and, unless `tuning` is full, an adapter.

    The adapter starts as a copy of `options.adapter` (the SFT stage's), with its rank and layers, or fresh.

    Raises:
        ModelError: the adapter's weights don't fit this base.
    """
    location = options.locate()
    model = _load_classifier(location.base, options)
    if options.tuning == "full":
        return model
    if location.adapter is None:
        return get_peft_model(model, lora_config(options, TaskType.SEQ_CLS))
    wrapped = get_peft_model(model, _classifier_config(location.adapter))
    _copy_adapter_weights(location.adapter, wrapped)
    return wrapped


def load_reward_model(
    path: str, *, dtype: str | None = "auto", device: str | torch.device | None = None, load_in_4bit: bool = False
) -> PreTrainedModel | PeftModel:
    """Load a trained reward model, frozen, in evaluation mode, with its pad token set.

    Its `.logits` are [B, 1] for right-padded `input_ids` and `attention_mask`.

    Args:
        path: a run directory of recipes/reward.py, or any sequence-classification model with one label.
        dtype: precision of the base; the head is float32 always.
        device: where to; the accelerator where there is one by default.
        load_in_4bit: quantize the base, for scores equal to those of a reward model trained on 4 bits.

    Raises:
        ModelError: `path` is something else, such as a language model or an SFT adapter.
    """
    tuning: Tuning = "qlora" if load_in_4bit else "lora"
    if is_adapter_folder(path):
        base = _check_reward_adapter(path)
        classifier = _load_classifier(base, ModelOptions(base, dtype=dtype, tuning=tuning))
        model: PreTrainedModel | PeftModel = PeftModel.from_pretrained(classifier, path)
    else:
        _check_classifier(path)
        model = _load_classifier(path, ModelOptions(path, dtype=dtype, tuning=tuning))
    align_pad_token(model, load_tokenizer(path, padding_side="right", needs_eos=False))
    model.requires_grad_(False)
    model.eval()
    if not load_in_4bit:  # bitsandbytes places quantized weights itself
        nn.Module.to(model, device or _default_device())
    return model


def _load_classifier(base: str, options: ModelOptions) -> PreTrainedModel:
    with suppress_seqcls_warning():
        model = load_base(AutoModelForSequenceClassification, base, options, num_labels=1)
    head = getattr(model, HEAD, None)
    if isinstance(head, nn.Linear):
        setattr(model, HEAD, Float32Head.of(head))
    return model


def _classifier_config(adapter: str) -> LoraConfig:
    """The configuration of an adapter, read anew, turned to sequence classification: its head is trained and saved."""
    config = PeftConfig.from_pretrained(adapter)
    if not isinstance(config, LoraConfig):
        raise ModelError(
            f"{adapter} is an adapter of type {config.peft_type}; a reward model starts from a LoRA adapter.",
            remedy="Leave `adapter` out to start from the base model.",
        )
    config.task_type = TaskType.SEQ_CLS
    config.inference_mode = False
    config.base_model_name_or_path = None  # named anew by the model that it is put on
    return config


def _copy_adapter_weights(adapter: str, model: PeftModel) -> None:
    """Put a language model's adapter under a classifier; the head keeps its fresh weights."""
    weights = get_peft_model_state_dict(model)
    start = load_peft_weights(adapter, device="cpu")
    strangers = [name for name in start if name not in weights or start[name].shape != weights[name].shape]
    if strangers:
        raise ModelError(
            f"The adapter {adapter} does not fit the layers of the reward model.",
            problems=strangers,
            remedy="Use an adapter trained on the same base model, on linear layers only.",
        )
    set_peft_model_state_dict(model, weights | start)


def _check_reward_adapter(path: str) -> str:
    """Check that an adapter is a reward model's, and return the name of its base."""
    config = check_adapter_folder(path)
    if config.get("task_type") != "SEQ_CLS":
        raise ModelError(
            f"{path} holds an adapter for {config.get('task_type') or 'no stated task'}, not a reward model.",
            remedy="Point to a run of recipes/reward.py.",
        )
    if not any(f"{HEAD}." in name or "classifier." in name for name in load_peft_weights(path, device="cpu")):
        raise ModelError(
            f"The adapter {path} was saved without its score head, so its scores would be random.",
            remedy="Train it again with recipes/reward.py, which saves the head and proves it by a reload.",
        )
    base = str(config["base_model_name_or_path"])
    check_model_folder(base)
    return base


def _check_classifier(path: str) -> None:
    """Check that a model folder or hub model is a sequence classifier with one label."""
    check_model_folder(path)
    with hub_errors(path):
        config: Any = AutoConfig.from_pretrained(path)
    architecture = (config.architectures or ["a model of unstated architecture"])[0]
    if not architecture.endswith("ForSequenceClassification"):
        raise ModelError(
            f"{path} holds {architecture}, which has no score head: it is not a reward model.",
            remedy="Point to a run of recipes/reward.py, or to a sequence-classification model with one label.",
        )
    if config.num_labels != 1:
        raise ModelError(
            f"{path} is a classifier with {config.num_labels} labels; a reward model has one.",
            remedy="Point to a model with num_labels = 1.",
        )


def _default_device() -> torch.device:
    return torch.accelerator.current_accelerator() or torch.device("cpu")
