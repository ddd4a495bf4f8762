"""The score of each response in a rollout."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from rlhf.data.chat import encode_completion
from rlhf.data.messages import as_reply
from rlhf.errors import TrainingError
from rlhf.generation import Generation
from rlhf.models.roles import chunks
from rlhf.models.scoring import pad_sequences
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import Reward


class Scorer:
    """Adds up the reward role, where the roles have one, and any further rewards, each with its weight.

    The reward role reads each response as it was trained to read one: ended, whether or not the policy came to an end
    (see `rlhf.rewards.model.ModelReward`). Other rewards get texts, with `finished` and the data set's further columns,
    by TRL's signature.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        roles: SharedRoles | None = None,
        rewards: Sequence[Reward] = (),
        weights: Sequence[float] | None = None,
        batch_size: int = 32,
    ):
        """
        Args:
            tokenizer: the policy's.
            roles: roles with a reward adapter, whose score has weight 1.
            rewards: further rewards.
            weights: one for each of them, 1 by default.
            batch_size: sequences in each forward of the reward role.
        """
        self.tokenizer = tokenizer
        self.roles = roles
        self.rewards = list(rewards)
        self.weights = [1.0] * len(self.rewards) if weights is None else list(weights)
        self.batch_size = batch_size

    def __call__(self, rows: Sequence[dict[str, Any]], generations: Sequence[Generation]) -> torch.Tensor:
        """The scores, [B], float32, on the CPU.

        Raises:
            TrainingError: when a reward returns no finite number for a response.
        """
        prompts = [row["prompt"] for row in rows]
        texts = [str(self.tokenizer.decode(g.response_ids, skip_special_tokens=True)) for g in generations]
        completions = [as_reply(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        total = torch.zeros(len(rows))
        if self.roles is not None:
            total += self._by_role(self.roles, prompts, completions)
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
        columns["finished"] = [g.finished for g in generations]
        for reward, weight in zip(self.rewards, self.weights, strict=True):
            scores = reward(prompts=prompts, completions=completions, **columns)
            total += weight * torch.tensor(_finite(scores, reward.name))
        return total

    def _by_role(self, roles: SharedRoles, prompts: Sequence[Any], completions: Sequence[Any]) -> torch.Tensor:
        pairs = zip(prompts, completions, strict=True)
        ids: list[tuple[list[int], list[int]]] = [
            (encode_completion(self.tokenizer, *pair).input_ids, []) for pair in pairs
        ]
        parts = []
        for rows in chunks(len(ids), self.batch_size):
            input_ids, mask, _ = pad_sequences([ids[i] for i in rows.tolist()], self.tokenizer.pad_token_id)
            parts.append(roles.reward_scores(input_ids.to(roles.device), mask.to(roles.device)).cpu())
        return torch.cat(parts)


def _finite(scores: Sequence[float | None], name: str) -> list[float]:
    for row, score in enumerate(scores):
        if score is None or not math.isfinite(score):
            raise TrainingError(
                f"The reward {name} returned {score} for response {row} of the rollout.",
                remedy="make it return a finite number for every response; PPO can't leave one out.",
            )
    return [float(score) for score in scores if score is not None]
