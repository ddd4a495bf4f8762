"""Best of n: draw several responses to a prompt, and keep the one that a reward scores highest.

No training, and a strong baseline for it: a trained policy has to do better than this, or as well from a single draw.
Importing this loads no torch; sampling does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from rlhf.data.messages import as_reply
from rlhf.errors import ConfigError, TrainingError
from rlhf.rewards import Reward, Scores, Text

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from rlhf.generation import Generation

# Responses that a reward is given at once: many enough to sort by length, few enough to see progress.
SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class BestOfN:
    """The response that was kept.

    Attributes:
        generation: its tokens and log-probabilities, as it was drawn.
        completion: its text without special tokens, in the form of the prompt (plain, or the assistant's turn).
        score: its score; None without a reward.
        scores: those of all n responses in the order of the draw; empty without a reward.
    """

    generation: "Generation"
    completion: Text
    score: float | None
    scores: Scores


def check_best_of_n(n: int, temperature: float, has_reward: bool) -> None:
    """Check that there is something to choose from and something to choose by, before a model is loaded.

    Raises:
        ConfigError: there isn't.
    """
    checks = {
        f"n = {n}: at least one response has to be drawn": n >= 1,
        f"n = {n} needs a reward to choose by": n <= 1 or has_reward,
        f"temperature 0 gives the same response {n} times": n <= 1 or temperature > 0,
    }
    problems = [problem for problem, fine in checks.items() if not fine]
    if problems:
        raise ConfigError(
            "The best of n can't be chosen.",
            problems=problems,
            remedy="Give a reward model, `lexicon` or package.module:function and a temperature above 0, or draw one "
            "response (n = 1).",
        )


def best_of_n(
    model: "nn.Module",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Text],
    reward: Reward | None,
    n: int,
    *,
    max_new_tokens: int,
    seed: int,
    temperature: float = 1.0,
    batch_size: int = 32,
    columns: Mapping[str, Sequence[Any]] | None = None,
    progress: bool = False,
) -> list[BestOfN]:
    """Sample n responses to each prompt from the model's full distribution, and keep the best of each n.

    Args:
        model: a causal language model or its PEFT wrapper; the active adapter answers.
        prompts: plain texts or conversations.
        reward: what chooses; None where n is 1 and no score is wanted. A response that it leaves without a score is
            never the best; of equal scores the first drawn is.
        n: responses to a prompt. With 1 this is plain sampling.
        max_new_tokens: the longest response.
        seed: of the draws.
        temperature: divides the logits.
        batch_size: responses drawn at a time.
        columns: further columns of the data set for the reward, one value for each prompt. It also gets `finished`,
            whether the model ended the response itself.
        progress: show how far drawing and scoring are.

    Returns:
        The best response to each prompt, in the order of the prompts.

    Raises:
        ConfigError: n is below 1, or above 1 without a reward or at temperature 0.
        TrainingError: the reward gives a score that is no finite number, or leaves all responses to a prompt without
            one where it has to choose.
    """
    from rlhf.generation import generate

    check_best_of_n(n, temperature, reward is not None)
    drawn = generate(
        model,
        tokenizer,
        [*prompts] * n,
        max_new_tokens=max_new_tokens,
        seed=seed,
        temperature=temperature,
        batch_size=batch_size,
        description="answers" if progress else None,
    )
    candidates = [
        _Candidates.of(prompt, drawn[first :: len(prompts)], tokenizer) for first, prompt in enumerate(prompts)
    ]
    if reward is None:
        return [own.keep(0, []) for own in candidates]
    scores = _score(reward, candidates, columns or {}, progress)
    return [own.keep(_choose(reward, own, found), found) for own, found in zip(candidates, scores, strict=True)]


def position_of_best(scores: Scores) -> int | None:
    """Where the highest score stands, the first of equals; None where there is no score at all."""
    scored = [(score, -position) for position, score in enumerate(scores) if score is not None]
    return -max(scored)[1] if scored else None


def kl_of_best_of_n(n: int) -> float:
    """The most that the best of n can lie from the policy it was drawn from: log n - (n - 1) / n nats a response.

    It is the divergence itself where no response can be drawn twice and no two score the same, and an upper bound
    always (Beirami et al., arXiv 2401.01879). Gao et al. (arXiv 2210.10760) place best-of-n by it. It depends neither
    on the policy nor on the reward.
    """
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True)
class _Candidates:
    """The n responses to one prompt, with their texts in the form of the prompt."""

    prompt: Text
    generations: "Sequence[Generation]"
    completions: Sequence[Text]

    @classmethod
    def of(
        cls, prompt: Text, generations: "Sequence[Generation]", tokenizer: "PreTrainedTokenizerBase"
    ) -> "_Candidates":
        texts = [str(tokenizer.decode(one.response_ids, skip_special_tokens=True)) for one in generations]
        return cls(prompt, generations, [as_reply(prompt, text) for text in texts])

    def keep(self, position: int, scores: Scores) -> BestOfN:
        score = scores[position] if scores else None
        return BestOfN(self.generations[position], self.completions[position], score, scores)


def _score(
    reward: Reward, candidates: Sequence[_Candidates], columns: Mapping[str, Sequence[Any]], progress: bool
) -> list[Scores]:
    """The scores of each prompt's responses. All responses to a prompt are scored in one call."""
    n = len(candidates[0].generations) if candidates else 1
    size = max(1, SCORED_AT_ONCE // n)
    scores: list[Scores] = []
    for start in tqdm(range(0, len(candidates), size), desc="scores", disable=not progress, leave=False):
        group = candidates[start : start + size]
        further = {
            name: [value for value in values[start : start + size] for _ in range(n)]
            for name, values in columns.items()
        }
        further["finished"] = [one.finished for own in group for one in own.generations]
        found = reward(
            prompts=[own.prompt for own in group for _ in range(n)],
            completions=[completion for own in group for completion in own.completions],
            **further,
        )
        scores += [_finite(found[place : place + n], reward.name) for place in range(0, len(found), n)]
    return scores


def _finite(scores: Scores, name: str) -> Scores:
    bad = [score for score in scores if score is not None and not math.isfinite(score)]
    if bad:
        raise TrainingError(
            f"The reward {name} returned {bad[0]} for a response.",
            remedy="Make it return a finite number, or None where a response has no score.",
        )
    return list(scores)


def _choose(reward: Reward, own: _Candidates, scores: Scores) -> int:
    best = position_of_best(scores)
    if best is None and len(scores) > 1:
        raise TrainingError(
            f"The reward {reward.name} gives none of {len(scores)} responses a score: {own.prompt!r:.200}",
            remedy="Use a reward that scores responses to every prompt, or leave this prompt out.",
        )
    return best or 0
