"""The shared trunk: the layers that no role trains run once, the top runs for each role and epoch.

Where a role adapts only the top K layers, everything beneath is frozen and gives the same hidden states for policy,
reference and value. `DecoderTop` is a view on the model's own top layers, not a copy: its parameters are the model's.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn

from rlhf.errors import ModelError


class _Reached(Exception):
    """Ends a forward pass at the last layer that was asked for."""


def decoder_of(causal_lm: Any) -> Any:
    """The stack of layers under the language-model head.

    Raises:
        ModelError: for an architecture without a plain list of layers.
    """
    decoder = getattr(causal_lm, causal_lm.base_model_prefix, causal_lm)
    if not isinstance(getattr(decoder, "layers", None), nn.ModuleList):
        raise ModelError(
            f"{type(causal_lm).__name__} has no plain list of decoder layers.",
            remedy="use a decoder-only model such as Llama, Qwen, Mistral, Gemma, Phi-3 or SmolLM.",
        )
    return decoder


def position_ids(attention_mask: torch.Tensor) -> torch.Tensor:
    """Positions that count real tokens only, so that left padding changes nothing. [B, T] -> [B, T]"""
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)


def decoder_options(attention_mask: torch.Tensor) -> dict[str, Any]:
    """What every forward of a decoder is given beside its tokens: the mask [B, T], positions, and no cache."""
    return {
        "attention_mask": attention_mask.long(),
        "position_ids": position_ids(attention_mask),
        "use_cache": False,
    }


@contextmanager
def states_entering(
    decoder: Any, depths: Sequence[int], *, stop_at: int | None = None
) -> Iterator[dict[int, list[torch.Tensor]]]:
    """Collect the hidden states that enter the top K layers, for each K of `depths`, from every forward in the block.

    Args:
        decoder: the stack of L layers.
        depths: numbers of top layers, each from 1 to L; at K = L the states are the embeddings.
        stop_at: end each forward, by an exception, before so many top layers.

    Yields:
        For each K a list that grows by one tensor [B, T, H], without gradient, in each forward.
    """
    states: dict[int, list[torch.Tensor]] = {depth: [] for depth in depths}

    def keep(depth: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            states[depth].append((args[0] if args else kwargs["hidden_states"]).detach())
            if depth == stop_at:
                raise _Reached

        return hook

    handles = [decoder.layers[-k].register_forward_pre_hook(keep(k), with_kwargs=True) for k in states]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def run_bottom(
    decoder: Any, depths: Sequence[int], input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> dict[int, torch.Tensor]:
    """The hidden states that enter the top K layers, for each K of `depths`.

    Args:
        decoder: the stack of L layers.
        depths: numbers of top layers, each from 1 to L; at K = L the states are the embeddings.
        input_ids: [B, T].
        attention_mask: [B, T], True where a token is real.

    Returns:
        For each K a tensor [B, T, H] without gradient.
    """
    with states_entering(decoder, depths, stop_at=min(depths)) as states, suppress(_Reached):
        decoder(input_ids=input_ids, **decoder_options(attention_mask))
    return {depth: found[0] for depth, found in states.items()}


class DecoderTop:
    """The top K layers and the final norm of a decoder, callable on hidden states."""

    def __init__(self, decoder: Any, depth: int):
        view = copy.copy(decoder)
        view._modules = dict(decoder._modules)
        view.layers = nn.ModuleList(list(decoder.layers)[-depth:])
        view.config = copy.copy(decoder.config)
        view.config.num_hidden_layers = depth
        if getattr(view.config, "layer_types", None):
            view.config.layer_types = view.config.layer_types[-depth:]
        self._view = view

    def __call__(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Run the top.

        Args:
            hidden: the states from `run_bottom`, [B, T, H].
            attention_mask: [B, T], True where a token is real.

        Returns:
            The last hidden states after the final norm, [B, T, H].
        """
        output: torch.Tensor = self._view(inputs_embeds=hidden, **decoder_options(attention_mask)).last_hidden_state
        return output


def check_depth(decoder: Any, depth: int | None, option: str) -> int:
    """The number of top layers a role trains; None is all of them.

    Raises:
        ModelError: when the model doesn't have that many.
    """
    layers = len(decoder.layers)
    if depth is None:
        return layers
    if not 1 <= depth <= layers:
        raise ModelError(f"{option} is {depth}, but the model has {layers} layers.", remedy=f"choose 1 to {layers}.")
    return depth


@torch.no_grad()
def check_trunk(model: Any, depth: int) -> None:
    """Compare bottom and top of a model, run one after the other, with the whole on a few tokens.

    Raises:
        ModelError: for a decoder that does something of its own between embedding and layers.
    """
    causal_lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = decoder_of(causal_lm)
    vocabulary = causal_lm.get_input_embeddings().weight.shape[0]
    ids = torch.arange(1, 9, device=next(model.parameters()).device)[None] % vocabulary
    mask = torch.ones_like(ids, dtype=torch.bool)
    whole = decoder(input_ids=ids, **decoder_options(mask)).last_hidden_state
    parts = DecoderTop(decoder, depth)(run_bottom(decoder, [depth], ids, mask)[depth], mask)
    if (whole - parts).abs().max() > 1e-2 * whole.abs().max():
        raise ModelError(
            f"The top layers of {type(causal_lm).__name__} can't be run by themselves: its decoder does more than run "
            "its layers.",
            remedy="leave policy_layers and value_layers out, so that all layers are trained.",
        )
