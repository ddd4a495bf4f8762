"""The scores of the responses in a rollout."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from rlhf.data.chat import encode_completion
from rlhf.data.messages import as_reply
from rlhf.errors import ConfigError, TrainingError
from rlhf.generation import Generation, is_token_ids
from rlhf.models.scoring import pad_sequences
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import Reward, TokenReward
from rlhf.rewards.token_ids import ended
from rlhf.trainers.reward_options import REWARD_MODEL


@dataclass
class Scores:
    """What the rewards say of a batch of responses, float32, on the CPU.

    Attributes:
        total: the weighted sum over the rewards, [B].
        parts: each reward's own score by its name, unweighted, [B].
        tokens: the weighted sum of rewards given token by token, [B, R] with zeros after each response's end; None
            without such a reward.
        value_states: what a reward role computed of each sequence [P + R, H] beneath the layers that the value role
            trains, where it read the very same tokens; None for the others.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor] = field(default_factory=dict)
    tokens: torch.Tensor | None = None
    value_states: list[torch.Tensor | None] = field(default_factory=list)

    def to(self, device: torch.device) -> "Scores":
        """The same on a device."""
        tokens = None if self.tokens is None else self.tokens.to(device)
        parts = {name: part.to(device) for name, part in self.parts.items()}
        return Scores(self.total.to(device), parts, tokens, self.value_states)


class Scorer:
    """Adds up the reward model and any further rewards, each with its weight.

    The reward model is one or more roles on the shared base, or models of their own; of several the scores are combined
    into one. A reward role reads each response as it was trained to read one: ended, whether or not the policy came to
    an end (see `rlhf.rewards.model.ModelReward`). Other rewards get texts, with `prompt_ids`, `completion_ids`,
    `finished` and the data set's further columns, by TRL's signature.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        roles: SharedRoles | None = None,
        members: Sequence[Reward] = (),
        combine: Callable[[torch.Tensor], torch.Tensor] | None = None,
        model_weight: float = 1.0,
        rewards: Sequence[Reward] = (),
        weights: Sequence[float] | None = None,
        token_rewards: Sequence[TokenReward] = (),
        token_weights: Sequence[float] | None = None,
        batch_size: int = 32,
    ):
        """
        Args:
            tokenizer: the policy's.
            roles: roles with reward adapters.
            members: reward models of their own, which form an ensemble with the reward roles.
            combine: from the ensemble's scores [members, B] to one, [B]; their mean by default.
            model_weight: the weight of that score.
            rewards: further rewards.
            weights: one for each of them, 1 by default.
            token_rewards: rewards that give a number for each token.
            token_weights: one for each of them, 1 by default.
            batch_size: sequences in each forward of the reward role.
        """
        self.tokenizer = tokenizer
        _require_pairs("weights", rewards, weights)
        _require_pairs("token_weights", token_rewards, token_weights)
        self.roles = roles
        self.members = list(members)
        self.combine = combine or (lambda scores: scores.mean(0))
        self.model_weight = model_weight
        self.rewards = list(rewards)
        self.weights = [1.0] * len(self.rewards) if weights is None else list(weights)
        self.token_rewards = list(token_rewards)
        self.token_weights = [1.0] * len(self.token_rewards) if token_weights is None else list(token_weights)
        self.batch_size = batch_size

    @property
    def names(self) -> list[str]:
        """The names of all rewards, as they stand in metrics."""
        model = [REWARD_MODEL] if self.roles is not None or self.members else []
        return [*model, *(one.name for one in self.rewards), *(one.name for one in self.token_rewards)]

    def __call__(self, rows: Sequence[dict[str, Any]], generations: Sequence[Generation]) -> Scores:
        """Score one response for each row.

        Raises:
            TrainingError: when a reward returns no finite number for a response.
        """
        texts = further_columns(rows, generations) | completions_of(self.tokenizer, rows, generations)
        scores = Scores(torch.zeros(len(rows)), value_states=[None] * len(rows))
        if self.roles is not None or self.members:
            by_models = self._by_reward_models(rows, generations, texts, scores)
            self._add(scores, REWARD_MODEL, self.model_weight, self.combine(by_models))
        for reward, weight in zip(self.rewards, self.weights, strict=True):
            self._add(scores, reward.name, weight, torch.tensor(_finite(reward(**texts), reward.name)))
        for token_reward, weight in zip(self.token_rewards, self.token_weights, strict=True):
            self._add_tokens(scores, token_reward.name, weight, token_reward(**texts))
        return scores

    def _add(self, scores: Scores, name: str, weight: float, part: torch.Tensor) -> None:
        scores.parts[name] = part
        scores.total += weight * part

    def _add_tokens(self, scores: Scores, name: str, weight: float, lists: Sequence[Sequence[float]]) -> None:
        if scores.tokens is None:
            scores.tokens = torch.zeros(len(lists), max(max(map(len, lists)), 1))
        for row, numbers in enumerate(lists):
            scores.tokens[row, : len(numbers)] += weight * torch.tensor(numbers)
        scores.parts[name] = torch.tensor([sum(numbers) for numbers in lists], dtype=torch.float32)

    def _by_reward_models(
        self,
        rows: Sequence[dict[str, Any]],
        generations: Sequence[Generation],
        texts: dict[str, list[Any]],
        scores: Scores,
    ) -> torch.Tensor:
        """The scores of every member, [members, B]; what a role leaves for the value role goes to `scores`."""
        own = [torch.tensor(_finite(member(**texts), member.name))[None] for member in self.members]
        if self.roles is None:
            return torch.cat(own)
        ids = [self._as_read(*part) for part in zip(rows, generations, texts["completions"], strict=True)]
        by_roles, states = self._by_roles(self.roles, ids)
        for number, (read, one) in enumerate(zip(ids, generations, strict=True)):
            tokens = [*one.prompt_ids, *one.response_ids]
            if states and read[: len(tokens)] == tokens:
                scores.value_states[number] = states[number][: len(tokens)]
        return torch.cat([by_roles, *own])

    def _as_read(self, row: dict[str, Any], generation: Generation, completion: Any) -> list[int]:
        """A response after its prompt, as a reward role reads them; a prompt of token ids is taken as it is."""
        if is_token_ids(row["prompt"]):
            return generation.prompt_ids + ended(
                generation.response_ids, generation.finished, self.tokenizer.eos_token_id
            )
        return encode_completion(self.tokenizer, row["prompt"], completion).input_ids

    def _by_roles(self, roles: SharedRoles, ids: Sequence[list[int]]) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """The roles' scores, [roles, B], and by number the states of each sequence that the value role can use."""
        by_length = torch.tensor([len(row) for row in ids]).argsort(stable=True)
        parts = torch.split(by_length, self.batch_size)
        batches = []
        for rows in parts:
            batch: list[tuple[list[int], list[int]]] = [(ids[i], []) for i in rows.tolist()]
            input_ids, mask, _ = pad_sequences(batch, self.tokenizer.pad_token_id)
            batches.append((input_ids.to(roles.device), mask.to(roles.device)))
        read = roles.reward_scores(batches)
        scores = torch.empty(len(roles.reward_heads), len(ids))
        scores[:, by_length] = read.scores.cpu()
        kept = zip(parts, read.value_states, strict=True) if read.value_states else ()
        return scores, {
            number: states[-len(ids[number]) :]  # without the padding on the left
            for rows, batch_states in kept
            for number, states in zip(rows.tolist(), batch_states, strict=True)
        }


def _require_pairs(option: str, rewards: Sequence[Any], weights: Sequence[float] | None) -> None:
    if weights is not None and len(weights) != len(rewards):
        raise ConfigError(f"{len(weights)} {option} are given for {len(rewards)} rewards.", remedy="give one for each.")


def completions_of(
    tokenizer: Any, rows: Sequence[dict[str, Any]], generations: Sequence[Generation]
) -> dict[str, list[Any]]:
    """Prompts and completions as rewards take them: texts, or messages where the prompt is a conversation.

    A prompt of token ids is decoded, as the completion is; the ids themselves are among the `further_columns`.
    """
    prompts = [_as_text(tokenizer, row["prompt"]) for row in rows]
    texts = [str(tokenizer.decode(one.response_ids, skip_special_tokens=True)) for one in generations]
    return {"prompts": prompts, "completions": [as_reply(p, text) for p, text in zip(prompts, texts, strict=True)]}


def _as_text(tokenizer: Any, prompt: Any) -> Any:
    return str(tokenizer.decode(prompt, skip_special_tokens=True)) if is_token_ids(prompt) else prompt


def further_columns(rows: Sequence[dict[str, Any]], generations: Sequence[Generation]) -> dict[str, list[Any]]:
    """What else rewards are told: the data set's columns beyond the prompt, the ids, and whether a response ended."""
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
    columns["prompt_ids"] = [one.prompt_ids for one in generations]
    columns["completion_ids"] = [one.response_ids for one in generations]
    columns["finished"] = [one.finished for one in generations]
    return columns


def ask(
    reward: Reward,
    rows: Sequence[dict[str, Any]],
    texts: dict[str, list[Any]],
    generations: Sequence[Generation],
) -> list[float]:
    """One reward's scores of responses; a TrainingError where one is no finite number."""
    return _finite(reward(**texts, **further_columns(rows, generations)), reward.name)


def _finite(scores: Sequence[float | None], name: str) -> list[float]:
    for row, score in enumerate(scores):
        if score is None or not math.isfinite(score):
            raise TrainingError(
                f"The reward {name} returned {score} for response {row} of the rollout.",
                remedy="make it return a finite number for every response; PPO can't leave one out.",
            )
    return [float(score) for score in scores if score is not None]
