"""Attention whose gradient is found by matrix products where torch's own kernel is slow: in half precision on a CPU.

torch 2.13 differentiates `scaled_dot_product_attention` in bfloat16 on a CPU several times slower than matrix products
do, as long as sequences are short; beyond some hundred tokens its kernel is the faster one, and is used. Here the
forward pass is torch's own, to the bit, so that log-probabilities are the same with and without gradients. The backward
pass has the precision that flash attention has on a GPU (Dao, arXiv 2307.08691): scores and their softmax in float32,
both factors of every product in half precision.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SDPA = "sdpa"
SDPA_BY_PRODUCTS = "sdpa_differentiated_by_products"
LONGEST = 512  # tokens; measured on Zen 4: three times as fast at 39, as fast at 263, half as fast at 1,024
SCORES = 2 * 1024 * 1024  # exist at a time, or those of one sequence: 8 MiB in float32


def differentiate_by_products(model: Any) -> None:
    """Let a half-precision model on a CPU find attention's gradients by products; any other is left as it is.

    The choice is a matter of this process: a saved configuration doesn't name it.
    """
    parameter = next(model.parameters())
    half = parameter.dtype in (torch.bfloat16, torch.float16)
    if half and parameter.device.type == "cpu" and getattr(model.config, "_attn_implementation", None) == SDPA:
        model.set_attn_implementation(SDPA_BY_PRODUCTS)


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' `sdpa`: query [B, N, T, D], key and value [B, N', T', D]; returns [B, T, N, D]."""
    special = dropout or others.get("position_bias") is not None or others.get("softcap") is not None
    if special or not _gains(query, key, value):
        options = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **others}
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return result
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and causal:
        attention_mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    groups = query.shape[1] // key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output: torch.Tensor = _ByProducts.apply(  # type: ignore[no-untyped-call]
        query, repeat_kv(key, groups), repeat_kv(value, groups), attention_mask, scale
    )
    return output.transpose(1, 2).contiguous(), None


def _gains(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether a gradient is going to be asked for that products find sooner."""
    differentiated = torch.is_grad_enabled() and any(one.requires_grad for one in (query, key, value))
    half_on_cpu = query.device.type == "cpu" and query.dtype != torch.float32
    return differentiated and half_on_cpu and 1 < query.shape[2] <= LONGEST and key.shape[2] <= LONGEST


class _ByProducts(torch.autograd.Function):
    """softmax(scale * Q K' + mask) V, heads side by side: query [B, N, T, D], key and value [B, N, T', D]."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        output = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
        ctx.save_for_backward(query, key, value, output)
        ctx.mask, ctx.scale = mask, scale
        return output

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, output = ctx.saved_tensors
        batch, heads, rows, _ = query.shape
        columns = key.shape[2]
        # How the output moves with a score is its probability times the part of this sum that is its own.
        shared = (grad.float() * output.float()).sum(-1, keepdim=True)
        grads = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        mask = None if ctx.mask is None else ctx.mask.expand(batch, heads, rows, columns)
        step = max(1, SCORES // (heads * rows * columns))
        for start in range(0, batch, step):
            part = slice(start, start + step)
            found = _gradients(
                query[part],
                key[part],
                value[part],
                None if mask is None else mask[part],
                ctx.scale,
                grad[part],
                shared[part],
            )
            for whole, one in zip(grads, found, strict=True):
                whole[part] = one
        return *grads, None, None


def _gradients(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    grad: torch.Tensor,
    shared: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of query, key and value; `shared` is the sum of grad times output, [B, N, T, 1], float32."""
    half = query.dtype
    scores = (query.float() @ key.float().transpose(-1, -2)).mul_(scale)
    if mask is not None and mask.dtype == torch.bool:
        scores.masked_fill_(~mask, -torch.inf)
    elif mask is not None:
        scores.add_(mask)
    weights = scores.softmax(-1).nan_to_num_(0.0)  # a row that sees nothing, as padding does, gives nothing
    grad_value = weights.to(half).transpose(-1, -2) @ grad
    of_weights = grad @ value.transpose(-1, -2)
    grad_scores = weights.mul_(of_weights.float().sub_(shared)).mul_(scale).to(half)
    return grad_scores @ key, grad_scores.transpose(-1, -2) @ query, grad_value


AttentionInterface.register(SDPA_BY_PRODUCTS, _attention)
AttentionMaskInterface.register(SDPA_BY_PRODUCTS, sdpa_mask)
