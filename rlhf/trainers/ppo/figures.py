"""What a PPO run logs, under the names of TRL's PPO. Every figure is a mean over real tokens or whole sequences."""

from collections.abc import Sequence

import torch

from rlhf.generation import Generation
from rlhf.models.roles import PolicyAndValues
from rlhf.trainers.ppo.losses import PolicyLoss, ValueLoss
from rlhf.trainers.ppo.meter import Meter
from rlhf.trainers.ppo.rollout import RoleOutputs, Rollout
from rlhf.trainers.ppo.scoring import Scores


def measure_rollout(
    meter: Meter,
    outputs: RoleOutputs,
    scores: Scores,
    shaped: torch.Tensor,
    kl: torch.Tensor,
    penalties: torch.Tensor,
    generations: Sequence[Generation],
) -> None:
    """Figures of the responses and their rewards.

    Args:
        shaped: the scores as they enter the rewards, [B].
        kl, penalties: per token, [B, R].
    """
    mask = outputs.sequences.response_mask
    dense = 0.0 if scores.tokens is None else scores.tokens.sum(-1)
    meter.add("objective/kl", kl.sum(-1))
    meter.add("objective/entropy", -outputs.logprobs.sum(-1))
    meter.add("objective/non_score_reward", penalties.sum(-1))
    meter.add("objective/rlhf_reward", shaped + dense + penalties.sum(-1))
    meter.add("objective/scores", shaped + dense)
    meter.add("objective/scores_before_penalty", scores.total + dense)
    for name, part in scores.parts.items():
        meter.add(f"rewards/{name}/mean", part)
    meter.add("policy/entropy_avg", outputs.entropies, mask)
    meter.add("response/length", mask.sum(-1))
    meter.add("response/finished", torch.tensor([float(one.finished) for one in generations]))
    _measure_sampling(meter, generations, outputs.logprobs, mask)


def _measure_sampling(
    meter: Meter, generations: Sequence[Generation], logprobs: torch.Tensor, mask: torch.Tensor
) -> None:
    """How far sampling, with a merged adapter and a cache, was from the policy that is trained: 0 in float32."""
    sampled = torch.zeros_like(logprobs)
    sampled[mask] = torch.tensor([x for one in generations for x in one.logprobs], device=logprobs.device)
    meter.add("policy/sampling_gap", sampled - logprobs, mask)


def measure_losses(
    meter: Meter, rollout: Rollout, output: PolicyAndValues, policy: PolicyLoss, value: ValueLoss
) -> None:
    """Figures of one micro-batch's losses."""
    mask = rollout.sequences.response_mask
    meter.add("policy/approxkl_avg", 0.5 * (output.logprobs - rollout.logprobs) ** 2, mask)
    meter.add("policy/clipfrac_avg", policy.clipped, mask)
    meter.add("loss/policy_avg", policy.loss, mask)
    meter.add("loss/value_avg", value.loss, mask)
    meter.add("val/clipfrac_avg", value.clipped, mask)
    meter.add("val/ratio", policy.ratio, mask)
    meter.add("val/ratio_squared", policy.ratio**2, mask)
    meter.add("val/squared_error", (rollout.returns - rollout.values) ** 2, mask)
    meter.add("val/returns", rollout.returns, mask)
    meter.add("val/returns_squared", rollout.returns**2, mask)


def finish_figures(means: dict[str, float]) -> dict[str, float]:
    """Variances from means of squares; the share of the returns' variance that the values explain."""
    if "val/ratio" in means:
        means["val/ratio_var"] = means.pop("val/ratio_squared") - means["val/ratio"] ** 2
        variance = means.pop("val/returns_squared") - means["val/returns"] ** 2
        error = means.pop("val/squared_error")
        means["val/explained_variance"] = 1 - error / variance if variance > 0 else 0.0
    return means
