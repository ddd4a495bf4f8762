"""The checks, in the order in which they run.

Those of the reward model by itself come before the policy is loaded, those of the policy as it starts before the one
that takes a step. Later ones change the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rlhf.trainers.ppo.selfcheck import (
    check_of_learning,
    checks_of_logprobs,
    checks_of_losses,
    checks_of_rewards,
    checks_of_roles,
    checks_of_tokens,
)
from rlhf.trainers.ppo.selfcheck.evidence import Evidence
from rlhf.trainers.ppo.selfcheck.subject import Subject


@dataclass(frozen=True)
class Check:
    """An invariant under a short name; the function's docstring states it."""

    name: str
    look: Callable[[Subject], Evidence]

    @property
    def statement(self) -> str:
        return (self.look.__doc__ or "").strip().splitlines()[0]


CHECKS = (
    Check("pad token", checks_of_tokens.padding_ends_nothing),
    Check("decoding", checks_of_tokens.decoding_gives_back_the_text),
    Check("completion mask", checks_of_tokens.the_mask_covers_the_completion),
    Check("chat template", checks_of_tokens.the_template_opens_the_assistants_turn),
    Check("reward: batches", checks_of_rewards.scores_do_not_depend_on_the_batch),
    Check("reward: tokens", checks_of_rewards.the_policys_tokens_are_the_reward_models),
    Check("roles", checks_of_roles.the_roles_can_be_built),
    Check("vocabulary", checks_of_tokens.every_token_has_an_embedding),
    Check("end of turn", checks_of_tokens.a_response_ends_where_a_turn_does),
    Check("equal runs", checks_of_logprobs.equal_tokens_give_equal_numbers),
    Check("KL at the start", checks_of_logprobs.the_policy_starts_at_its_reference),
    Check("padding", checks_of_logprobs.padding_leaves_logprobs_alone),
    Check("kept states", checks_of_losses.kept_states_give_the_plain_forward),
    Check("reward: role", checks_of_rewards.the_role_scores_as_the_reward_model),
    Check("base after sampling", checks_of_roles.sampling_leaves_the_base_alone),
    Check("an optimizer step", checks_of_roles.a_step_changes_the_trained_roles_alone),
    Check("first minibatch", checks_of_logprobs.the_first_ratio_is_1),
    Check("sampling", checks_of_logprobs.sampling_and_training_agree),
    Check("draws", checks_of_logprobs.draws_follow_the_distribution),
    Check("padding in the loss", checks_of_losses.padding_changes_no_gradient),
    Check("micro-batches", checks_of_losses.micro_batches_equal_one_batch),
    Check("gradient clipping", checks_of_losses.gradients_are_clipped_by_their_norm),
    Check("place of the score", checks_of_losses.the_score_is_paid_at_the_end),
    Check("roles apart", checks_of_roles.roles_do_not_touch_each_other),
    Check("save and load", checks_of_roles.what_is_saved_is_what_is_loaded),
)
LEARNING = Check("learning", check_of_learning.the_policy_learns)
