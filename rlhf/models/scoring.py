"""Log-probabilities and perplexity of given texts under a causal language model."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from rlhf.models.heads import token_logprobs
from rlhf.models.trunk import decoder_options


def bare(model: nn.Module) -> Any:
    """The causal language model inside a PEFT wrapper, whose adapters stay in place; any other model itself."""
    loose: Any = model
    return loose.get_base_model() if hasattr(model, "get_base_model") else model


def softcap_of(causal_lm: Any) -> float | None:
    value = getattr(causal_lm.config.get_text_config(), "final_logit_softcapping", None)
    return None if value is None else float(value)


def hidden_states(model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The last hidden states of a causal language model or its PEFT wrapper.

    Args:
        input_ids: [B, T], padded on either side.
        attention_mask: [B, T], True where a token is real.

    Returns:
        [B, T, H]
    """
    whole = bare(model)
    decoder = getattr(whole, whole.base_model_prefix, whole)
    output: torch.Tensor = decoder(input_ids=input_ids, **decoder_options(attention_mask)).last_hidden_state
    return output


@torch.no_grad()
def sequence_logprobs(
    model: nn.Module,
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    pad_token_id: int,
    temperature: float = 1.0,
    batch_size: int = 32,
    description: str | None = None,
) -> list[list[float]]:
    """Log-probabilities of responses, token by token.

    Sequences of similar length share a batch, so that little is computed for padding.

    Args:
        model: a causal language model or its PEFT wrapper.
        sequences: pairs of prompt ids and response ids; the prompt has at least one token.
        pad_token_id: fills the batch.
        temperature: divides the logits.
        batch_size: sequences at a time.
        description: shows a progress bar under that name.

    Returns:
        For each sequence one log-probability per response token.
    """
    causal_lm = bare(model)
    device = next(causal_lm.parameters()).device
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i][0]) + len(sequences[i][1]))
    results: list[list[float]] = [[] for _ in sequences]
    starts = range(0, len(order), batch_size)
    for start in tqdm(starts, desc=description, disable=description is None, leave=False):
        rows = order[start : start + batch_size]
        input_ids, attention_mask, response_mask = pad_sequences([sequences[i] for i in rows], pad_token_id)
        input_ids, attention_mask = input_ids.to(device), attention_mask.to(device)
        hidden = hidden_states(model, input_ids, attention_mask)
        predicted = response_mask[:, 1:].to(device)
        values, _ = token_logprobs(
            hidden[:, :-1][predicted],
            causal_lm.get_output_embeddings(),
            input_ids[:, 1:][predicted],
            temperature=temperature,
            softcap=softcap_of(causal_lm),
        )
        for i, part in zip(rows, torch.split(values, [len(sequences[i][1]) for i in rows]), strict=True):
            results[i] = part.tolist()
    return results


def pad_sequences(
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]], pad_token_id: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left-padded ids, attention mask and response mask, each [B, T]; masks are True where it counts."""
    width = max(len(prompt) + len(response) for prompt, response in sequences)
    input_ids = torch.full((len(sequences), width), pad_token_id)
    attention_mask = torch.zeros(len(sequences), width, dtype=torch.bool)
    response_mask = torch.zeros_like(attention_mask)
    for row, (prompt, response) in enumerate(sequences):
        ids = [*prompt, *response]
        if ids:
            input_ids[row, -len(ids) :] = torch.tensor(ids)
            attention_mask[row, -len(ids) :] = True
        if response:
            response_mask[row, -len(response) :] = True
    return input_ids, attention_mask, response_mask


def perplexity(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    batch_size: int = 32,
    description: str | None = None,
) -> float:
    """exp of the mean negative log-likelihood per token, each text's first token given.

    Returns:
        The perplexity over all tokens of all texts; NaN when no text has two tokens.
    """
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    pairs = [(row[:1], row[1:]) for row in ids if len(row) > 1]
    logprobs = sequence_logprobs(
        model, pairs, pad_token_id=tokenizer.pad_token_id, batch_size=batch_size, description=description
    )
    tokens = sum(len(row) for row in logprobs)
    return math.exp(-sum(sum(row) for row in logprobs) / tokens) if tokens else math.nan
