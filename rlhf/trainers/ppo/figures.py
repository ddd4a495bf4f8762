"""What a PPO run logs, under the names of TRL's PPO. Every figure is a mean over real tokens or whole sequences."""

import torch

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
    finished: torch.Tensor,
) -> None:
    """Figures of the responses and their rewards.

    Args:
        shaped: the scores as they enter the rewards, [B].
        kl, penalties: per token, [B, R].
        finished: whether a response came to its end, [B].
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
    meter.add("response/length", mask.sum(-1))
    meter.add("response/finished", finished)


def measure_losses(
    meter: Meter, rollout: Rollout, output: PolicyAndValues, policy: PolicyLoss, value: ValueLoss
) -> None:
    """Figures of one micro-batch's losses."""
    mask = rollout.sequences.response_mask
    meter.add("policy/approxkl_avg", 0.5 * (output.logprobs - rollout.logprobs) ** 2, mask)
    meter.add("policy/entropy_avg", output.entropies, mask)
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
