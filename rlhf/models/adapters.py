"""Several PEFT adapters on one frozen base: which one answers, without touching what is trainable.

PEFT's `set_adapter` sets `requires_grad` as it switches, and so drops gradients when it is called between a forward and
its backward. Here the trainable parameters are fixed once, by name, and a context switches the active adapter alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def tuner_layers(model: nn.Module) -> list[Any]:
    """The layers that hold adapters. (Typed loosely: each kind of adapter has attributes of its own.)"""
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


@contextmanager
def active_adapter(model: nn.Module, adapter: str | None, layers: Sequence[Any] | None = None) -> Iterator[None]:
    """Let one adapter answer inside the block; None is the bare base. Restored afterwards, after exceptions too.

    Args:
        layers: the model's `tuner_layers`, where they are known: to find them takes some 10 ms.
    """
    layers = tuner_layers(model) if layers is None else layers
    before = [(layer._active_adapter, layer._disable_adapters) for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = adapter is None
            if adapter is not None:
                layer._active_adapter = [adapter]
        yield
    finally:
        for layer, (active, disabled) in zip(layers, before, strict=True):
            layer._active_adapter, layer._disable_adapters = active, disabled


def adapter_parameters(model: nn.Module, adapter: str) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of one adapter, with their names in the model."""
    for name, parameter in model.named_parameters():
        if f".{adapter}." in name or name.endswith(f".{adapter}"):
            yield name, parameter


@contextmanager
def merged_adapter(model: nn.Module, adapter: str | None) -> Iterator[None]:
    """Run the block with an adapter folded into the base weights, which makes a forward without gradients faster.

    The base's own weight tensors are set aside and put back, so that they are the same to the bit afterwards: adding
    and subtracting in bfloat16 would change 2% of them. Quantized weights are never merged; there the adapter stays
    beside the base.
    """
    layers = tuner_layers(model)
    tied = tied_weights(model)  # once: it looks at every module
    if adapter is None or not all(_can_merge(layer, adapter, tied) for layer in layers):
        with active_adapter(model, adapter):
            yield
        return
    kept: list[tuple[nn.Parameter, torch.Tensor]] = []
    try:
        with torch.no_grad():
            for layer in _with_adapter(layers, adapter):
                weight = layer.get_base_layer().weight
                kept.append((weight, weight.data))
                weight.data = weight.data + layer.get_delta_weight(adapter).to(weight.dtype)
        with active_adapter(model, None):
            yield
    finally:
        for weight, original in kept:
            weight.data = original


@contextmanager
def answering(model: nn.Module, adapter: str | None) -> Iterator[None]:
    """Let an adapter answer without gradients, folded into the weights where that is exact: in float32."""
    exact = next(model.parameters()).dtype == torch.float32
    with (merged_adapter if exact else active_adapter)(model, adapter):
        yield


def _with_adapter(layers: Iterable[Any], adapter: str) -> list[Any]:
    return [layer for layer in layers if adapter in getattr(layer, "lora_A", {})]


def tied_weights(model: nn.Module) -> set[int]:
    """The ids of parameters that several modules hold, such as an embedding that is the head too."""
    held = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    return {identity for identity, holders in held.items() if holders > 1}


def _can_merge(layer: Any, adapter: str, tied: set[int]) -> bool:
    """Plain linear LoRA on a floating-point weight that nothing else uses; everything else runs unmerged."""
    base = layer.get_base_layer()
    if adapter not in getattr(layer, "lora_A", {}):
        return not set(layer.adapter_layer_names) & {"lora_embedding_A"} or adapter not in layer.lora_embedding_A
    return (
        isinstance(base, nn.Linear)
        and type(base.weight) is nn.Parameter
        and base.weight.is_floating_point()
        and id(base.weight) not in tied
        and not layer.use_dora.get(adapter, False)
        and adapter not in getattr(layer, "lora_variant", {})
        and layer.lora_B[adapter].bias is None
    )
