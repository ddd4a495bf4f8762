"""LoRA layers with less work around their matrix products.

PEFT's layer computes W x, B (A x), scales the latter and adds it, each into a new tensor. Here the product with B is
accumulated into W x in place, forward and backward, and the products are made in the base's precision: adapters are
kept and optimized in float32, and rounded where they meet a bfloat16 base.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def can_answer_together(layers: Sequence[Any], first: str, second: str) -> bool:
    """Whether two adapters can answer in one pass: each layer holds both, and has the forward of this module."""
    return all(
        type(layer) is LoraLayer
        and type(layer.get_base_layer()) is nn.Linear
        and all(name in layer.lora_A and _is_plain(layer, name) for name in (first, second))
        for layer in layers
    )


@contextmanager
def answering_together(layers: Sequence[Any], first: str, second: str) -> Iterator[None]:
    """Let one adapter answer for the first half of a batch and another for the second, inside the block."""
    for layer in layers:
        layer.together = (first, second)
    try:
        yield
    finally:
        for layer in layers:
            del layer.together


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if hasattr(layer, "together"):
        return _products(layer, x, layer.together)
    adapters = [name for name in layer.active_adapters if name in layer.lora_A]
    base = layer.get_base_layer()
    if layer.disable_adapters or not adapters:
        output: torch.Tensor = base(x)
        return output
    if args or kwargs or len(adapters) > 1 or not _is_plain(layer, adapters[0]):
        output = LoraLayer.forward(layer, x, *args, **kwargs)
        return output
    return _products(layer, x, adapters)


def _products(layer: Any, x: torch.Tensor, adapters: Sequence[str]) -> torch.Tensor:
    """The layer's answer [..., out] to x [..., in], whose rows are shared out to the adapters in equal parts."""
    base = layer.get_base_layer()
    scalings = [layer.scaling[name] for name in adapters]
    factors = [factor.weight for name in adapters for factor in (layer.lora_A[name], layer.lora_B[name])]
    rows = x.reshape(-1, x.shape[-1])
    output = _LoraProducts.apply(rows, base.weight, base.bias, scalings, *factors)  # type: ignore[no-untyped-call]
    return output.view(*x.shape[:-1], -1)  # type: ignore[no-any-return]


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


class _LoraProducts(torch.autograd.Function):
    """y = W x + b + s B A x with a scaling s and factors A, B for each of P equal parts of the rows, for a frozen W.

    One product with W for all parts: fewer and larger steps than one part after the other.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        scalings: Sequence[float],
        *factors: torch.Tensor,
    ) -> torch.Tensor:
        """Args: x [N, in], weight [out, in], bias [out], P scalings, and for each of them the factors down (A) [r, in]
        and up (B) [out, r]. Returns: [N, out]."""
        ctx.precision, ctx.scalings = factors[0].dtype, scalings
        factors = tuple(factor.to(x.dtype) for factor in factors)
        output, inners = nn.functional.linear(x, weight, bias), []
        for part, down, up, scaling in zip(_parts(x, scalings), factors[::2], factors[1::2], scalings, strict=True):
            inners.append(x[part] @ down.t())
            output[part].addmm_(inners[-1], up.t(), alpha=scaling)
        ctx.save_for_backward(x, weight, *inners, *factors)
        return output

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, *rest = ctx.saved_tensors
        count = len(ctx.scalings)
        inners, factors = rest[:count], rest[count:]
        wants_x, wants_factors = ctx.needs_input_grad[0], ctx.needs_input_grad[4:]
        grad_x = grad @ weight if wants_x else None
        grads: list[torch.Tensor | None] = []
        for number, part in enumerate(_parts(x, ctx.scalings)):
            down, up, scaling = factors[2 * number], factors[2 * number + 1], ctx.scalings[number]
            wants_down, wants_up = wants_factors[2 * number : 2 * number + 2]
            grad_inner = (grad[part] @ up).mul_(scaling)
            grads.append((grad_inner.t() @ x[part]).to(ctx.precision) if wants_down else None)
            grads.append((grad[part].t() @ inners[number]).mul_(scaling).to(ctx.precision) if wants_up else None)
            if grad_x is not None:
                grad_x[part].addmm_(grad_inner, down)
        return grad_x, None, None, None, *grads


def _parts(x: torch.Tensor, scalings: Sequence[float]) -> list[slice]:
    size = len(x) // len(scalings)
    return [slice(number * size, (number + 1) * size) for number in range(len(scalings))]
