"""Attention where torch's own kernels are slow: in half precision on a CPU.

There torch 2.13 needs for a short sequence longer than plain products do (on Zen 4, 8 sequences of 39 tokens, 9 heads
on 3: 0.9 ms, products 0.6), and with its gradients much longer (7.1 ms, products 1.8). Beyond some hundred tokens its
kernel is the faster one, and is used. A single query whose heads share their keys, as in generation, takes it 0.83 ms
for 32 sequences, the same heads given as queries of one head 0.19. The precision is that of flash attention on a GPU
(Dao, arXiv 2307.08691): scores and softmax in float32, the factors of products in half precision.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

SDPA = "sdpa"
LONGEST = 256  # tokens
SCORES = 2 * 1024 * 1024  # exist at a time, or those of one sequence: 8 MiB in float32


def attend_by_products() -> None:
    """Let `sdpa` go this way in this process, for every model; what isn't slow goes torch's way as before.

    The name stays, since models ask for it: some build other masks where attention is called anything else.
    """
    AttentionInterface.register(SDPA, _attention)


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
    """As transformers' `sdpa`: query [B, N, T, D], key and value [B, K, T', D]; returns [B, T, N, D]."""
    batch, heads, rows, size = query.shape
    single = rows == 1 and not torch.is_grad_enabled()
    special = dropout or any(others.get(name) is not None for name in ("position_bias", "softcap"))
    if special or not _is_slow(query, key, value) or not (single or key.shape[2] <= LONGEST):
        options = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **others}
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return result
    if attention_mask is None and rows > 1 and (getattr(module, "is_causal", True) if is_causal is None else is_causal):
        attention_mask = torch.ones(rows, key.shape[2], dtype=torch.bool).tril()[None, None]
    # The queries that share a key stand below each other.
    grouped = query.reshape(batch, key.shape[1], -1, size)
    scale = size**-0.5 if scaling is None else scaling
    if single:
        mask = None if attention_mask is None else _by_head(attention_mask, grouped)[:, :, :, 0]
        output = nn.functional.scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scale)
    else:
        output = _ByProducts.apply(grouped, key, value, attention_mask, scale)  # type: ignore[no-untyped-call]
    return output.reshape(batch, heads, rows, size).transpose(1, 2).contiguous(), None


def _is_slow(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether torch's kernels are slow here, and the tensors are of the plain kind: of equal width, one batch."""
    half_on_cpu = query.device.type == "cpu" and query.dtype in (torch.bfloat16, torch.float16)
    return half_on_cpu and query.shape[-1] == key.shape[-1] == value.shape[-1] and len(query) == len(key) == len(value)


def _by_head(mask: torch.Tensor, grouped: torch.Tensor) -> torch.Tensor:
    """A mask [B or 1, N or 1, T, T'] for grouped queries [B, K, G * T, D]: [B or 1, K or 1, G or 1, T, T']."""
    if mask.shape[1] == 1:
        return mask[:, :, None]
    return mask.view(len(mask), grouped.shape[1], -1, *mask.shape[2:])


class _ByProducts(torch.autograd.Function):
    """softmax(scale * Q K' + mask) V.

    Query [B, K, G * T, D], G heads for each key head; key and value [B, K, T', D]; mask [B or 1, N or 1, T, T'], True
    where it counts, or what is added to the scores. The weights are computed again in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        output = torch.empty_like(query, memory_format=torch.contiguous_format)
        for part in _parts(query, key):
            weights = _weights(query[part], key[part], _of(mask, part), scale)
            output[part] = weights.to(value.dtype) @ value[part]
        ctx.save_for_backward(query, key, value, output)
        ctx.mask, ctx.scale = mask, scale
        return output

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, output = ctx.saved_tensors
        grad = grad.contiguous()
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        for part in _parts(query, key):
            weights = _weights(query[part], key[part], _of(ctx.mask, part), ctx.scale)
            grad_value[part] = weights.to(grad.dtype).transpose(-1, -2) @ grad[part]
            # Through the softmax: each weight times what its own gradient has beyond the weighted mean of all.
            of_weights = (grad[part] @ value[part].transpose(-1, -2)).float()
            mean = (grad[part].float() * output[part].float()).sum(-1, keepdim=True)
            of_scores = weights.mul_(of_weights.sub_(mean)).mul_(ctx.scale).to(grad.dtype)
            grad_query[part] = of_scores @ key[part]
            grad_key[part] = of_scores.transpose(-1, -2) @ query[part]
        return grad_query, grad_key, grad_value, None, None


def _weights(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float) -> torch.Tensor:
    """How much each query takes from each position, float32 [B, K, G * T, T']; rows that see nothing are zeros."""
    scores = (query.float() @ key.float().transpose(-1, -2)).mul_(scale)
    if mask is None:
        return scores.softmax(-1)
    by_head = scores.view(*scores.shape[:2], -1, *mask.shape[-2:])
    mask = _by_head(mask, query)
    if mask.dtype != torch.bool:
        by_head.add_(mask)
        return scores.softmax(-1)
    by_head.masked_fill_(~mask, -torch.inf)
    weights = scores.softmax(-1)
    weights.view(by_head.shape).masked_fill_(~mask.any(-1, keepdim=True), 0.0)
    return weights


def _parts(query: torch.Tensor, key: torch.Tensor) -> list[slice]:
    """Sequences whose scores may exist at a time."""
    of_one = query.shape[1] * query.shape[2] * key.shape[2]
    step = max(1, SCORES // of_one)
    return [slice(start, start + step) for start in range(0, len(query), step)]


def _of(mask: torch.Tensor | None, part: slice) -> torch.Tensor | None:
    return mask if mask is None or len(mask) == 1 else mask[part]
