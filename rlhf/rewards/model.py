"""A trained reward model as a reward."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from rlhf.data.chat import encode_completion
from rlhf.rewards.base import Scores, Text


class ModelReward:
    """Scores texts with a sequence classifier of one label, tokenized as TRL's RewardTrainer tokenizes for training.

    Plain text is prompt + completion + EOS, a conversation is rendered by the chat template, which ends it. A
    completion that was cut off at the longest length is scored as if it ended there: the model has seen whole texts
    only, and what it says of one without an end means nothing (on film reviews such scores had a quarter of the
    spread, and PPO learned never to end). What a missing end costs is PPO's `missing_eos_penalty`.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = 32,
        name: str = "reward model",
    ):
        self.model = model
        self.tokenizer: Any = tokenizer
        self.batch_size = batch_size
        self.name = name

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        """Scores in the order given.

        Args:
            prompts, completions: texts, or lists of messages.
        """
        return self.score_rows([self.token_ids(*row) for row in zip(prompts, completions, strict=True)])

    def score_rows(self, rows: Sequence[tuple[int, ...]]) -> Scores:
        """Scores of token ids without padding. Equal rows are scored once; batches are formed by length."""
        unique = sorted(set(rows), key=len, reverse=True)
        scores: dict[tuple[int, ...], float] = {}
        for start in range(0, len(unique), self.batch_size):
            batch = unique[start : start + self.batch_size]
            scores |= zip(batch, self._score_batch(batch), strict=True)
        return [scores[row] for row in rows]

    def token_ids(self, prompt: Text, completion: Text) -> tuple[int, ...]:
        """The ids that are scored, without padding."""
        return tuple(encode_completion(self.tokenizer, prompt or None, completion).input_ids)

    @torch.inference_mode()
    def score_ids(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Scores of right-padded token ids.

        Args:
            input_ids, attention_mask: [B, T]; padding holds the tokenizer's pad token.

        Returns:
            [B], float32.
        """
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        return logits.squeeze(-1).float()

    def _score_batch(self, rows: Sequence[tuple[int, ...]]) -> list[float]:
        device = next(self.model.parameters()).device
        width = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        input_ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=device)
        mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows], device=device)
        scores: list[float] = self.score_ids(input_ids, mask).tolist()
        return scores
