"""The reference's best of n responses: a baseline that chooses by the reward instead of training against it.

The largest n is drawn once for each prompt, apart from the reference's own answer, with which the best is compared.
Each smaller n takes the first of these draws, so that every figure comes from real responses, one for each prompt, and
is computed and paired as any policy's is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from rlhf.best_of_n import kl_of_best_of_n, position_of_best
from rlhf.evaluation.policies import Sampling, answer
from rlhf.evaluation.progress import Progress
from rlhf.generation import Generation


def draw_candidates(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    n: int,
    sampling: Sampling,
    progress: Progress,
) -> list[Generation]:
    """n responses to each of N prompts: the k-th (from 0) to prompt i stands at k N + i."""
    return answer(model, tokenizer, [*prompts] * n, sampling, progress, first_row=len(prompts))


def best_rows(
    candidates: Sequence[Mapping[str, Any]], prompts: int, best_of: Mapping[str, int]
) -> list[dict[str, Any]]:
    """For each n the best of the first n candidates by their reward, as the sample of a policy of its own.

    Args:
        candidates: rows with a `reward`, in the order of `draw_candidates`.
        prompts: their number, N.
        best_of: n by the name of the policy.

    Returns:
        One row for each name and prompt. The log-ratio of such a response is not known, so each has the upper bound of
        its mean.
    """
    rows = []
    for name, n in best_of.items():
        for prompt in range(prompts):
            own = candidates[prompt::prompts][:n]
            best = position_of_best([row["reward"] for row in own]) or 0
            rows.append({**own[best], "policy": name, "log_ratio": kl_of_best_of_n(n)})
    return rows
