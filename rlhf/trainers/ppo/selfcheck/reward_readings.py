"""What a reward model says of a few texts, read once, so that its weights need not stay in memory."""

from dataclasses import dataclass
from typing import Any

import torch

from rlhf.rewards.model import ModelReward

# Prompts and completions of unequal lengths.
PLAIN = (
    ("Film review:", " A gorgeous, moving film with a great cast."),
    ("Film review:", " Dull."),
    ("What is the capital of France?", " Paris is the capital of France, and its largest city."),
    ("The", " end"),
)
EXTRA = 5  # columns of padding that are added


@dataclass(frozen=True)
class RewardReadings:
    """Scores and tokens of the texts `texts`, one for each, by the reward model's own weights and tokenizer.

    Attributes:
        texts: prompts and completions; conversations where the tokenizer has a chat template.
        token_ids: of prompt and completion, without padding.
        one_by_one: scores of single texts.
        together: scores of all texts in one batch, padded on the right.
        padded: the same with more padding.
        eos_token_id: the tokenizer's, which may have none.
        dtype: the precision of the model's base.
    """

    texts: list[tuple[Any, Any]]
    token_ids: list[tuple[int, ...]]
    one_by_one: torch.Tensor
    together: torch.Tensor
    padded: torch.Tensor
    eos_token_id: int | None
    dtype: torch.dtype

    @classmethod
    def of(cls, reward: ModelReward) -> "RewardReadings":
        """Read the scores of plain texts and, where there is a chat template, of the same as conversations."""
        texts: list[tuple[Any, Any]] = list(PLAIN)
        if reward.tokenizer.chat_template:
            texts += [(_turn("user", prompt), _turn("assistant", text.strip())) for prompt, text in PLAIN]
        rows = [reward.token_ids(*text) for text in texts]
        model: Any = reward.model
        return cls(
            texts=texts,
            token_ids=rows,
            one_by_one=torch.cat([_scores(reward, [row]) for row in rows]),
            together=_scores(reward, rows),
            padded=_scores(reward, rows, EXTRA),
            eos_token_id=reward.tokenizer.eos_token_id,
            dtype=model.dtype,
        )


def _turn(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def _scores(reward: ModelReward, rows: list[tuple[int, ...]], extra: int = 0) -> torch.Tensor:
    """Scores of token ids in one batch, [B], on the CPU."""
    device = next(reward.model.parameters()).device
    width = max(map(len, rows)) + extra
    input_ids = torch.full((len(rows), width), int(reward.tokenizer.pad_token_id or 0))
    mask = torch.zeros_like(input_ids, dtype=torch.bool)
    for at, row in enumerate(rows):
        input_ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = True
    return reward.score_ids(input_ids.to(device), mask.to(device)).cpu()
