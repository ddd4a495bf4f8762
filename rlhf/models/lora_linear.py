"""LoRA layers with less work around their matrix products.

PEFT's layer computes W x, B (A x), scales the latter and adds it, each into a new tensor. Here the product with B is
accumulated into W x in place, forward and backward, and the products are made in the base's precision: adapters are
kept and optimized in float32, and rounded where they meet a bfloat16 base.
"""

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLayer
from torch import nn

from rlhf.models.adapters import tuner_layers


def fuse_lora(model: nn.Module) -> None:
    """Give the model's plain LoRA layers the forward of this module; others keep PEFT's."""
    for layer in tuner_layers(model):
        if type(layer) is LoraLayer and type(layer.get_base_layer()) is nn.Linear:
            layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    adapters = [name for name in layer.active_adapters if name in layer.lora_A]
    base = layer.get_base_layer()
    if layer.disable_adapters or not adapters:
        output: torch.Tensor = base(x)
        return output
    if args or kwargs or len(adapters) > 1 or not _is_plain(layer, adapters[0]):
        output = LoraLayer.forward(layer, x, *args, **kwargs)
        return output
    name = adapters[0]
    down, up, scaling = layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
    rows = x.reshape(-1, x.shape[-1])
    output = _LoraProduct.apply(rows, base.weight, base.bias, down, up, scaling)  # type: ignore[no-untyped-call]
    return output.view(*x.shape[:-1], -1)


def _is_plain(layer: Any, name: str) -> bool:
    """Whether the layer computes W x + s B A x and nothing else."""
    drops_out = layer.training and getattr(layer.lora_dropout[name], "p", 0.0) > 0
    return (
        not layer.merged
        and not drops_out
        and not layer.use_dora.get(name, False)
        and name not in getattr(layer, "lora_variant", {})
        and layer.lora_B[name].bias is None
        and not layer.get_base_layer().weight.requires_grad
    )


class _LoraProduct(torch.autograd.Function):
    """y = W x + b + s B A x, for a frozen W."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        """Args: x [N, in], weight [out, in], bias [out], down (A) [r, in], up (B) [out, r]. Returns: [N, out]."""
        ctx.precision, ctx.scaling = down.dtype, scaling
        down, up = down.to(x.dtype), up.to(x.dtype)
        inner = x @ down.t()
        ctx.save_for_backward(x, inner, weight, down, up)
        return nn.functional.linear(x, weight, bias).addmm_(inner, up.t(), alpha=scaling)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, inner, weight, down, up = ctx.saved_tensors
        wants_x, _, _, wants_down, wants_up, _ = ctx.needs_input_grad
        grad_inner = (grad @ up).mul_(ctx.scaling)
        grad_down = (grad_inner.t() @ x).to(ctx.precision) if wants_down else None
        grad_up = (grad.t() @ inner).mul_(ctx.scaling).to(ctx.precision) if wants_up else None
        grad_x = (grad @ weight).addmm_(grad_inner, down) if wants_x else None
        return grad_x, None, None, grad_down, grad_up, None
