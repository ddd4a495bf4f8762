"""What practitioners add to the plain algorithm: a moving reference, a value warm-up, rewards token by token."""

import pytest
import torch
from peft import LoraConfig

from rlhf.errors import ModelError, TrainingError
from rlhf.models.shared_roles import POLICY, REFERENCE, SharedRoles
from rlhf.rewards import TokenReward
from rlhf.trainers.ppo.advantages import masked_mean
from tests.tiny import tiny_causal_lm
from tests.trainers.ppo.setup import ppo_trainer, separate_roles, shared_roles, weights_of


def adapter(roles, name):
    return [p.detach().clone() for n, p in roles.named_parameters() if f".{name}." in n]


def test_the_reference_follows_the_policy_by_its_share_at_ends_of_rollouts(tmp_path):
    roles = shared_roles(reference_moves=True)
    start = adapter(roles, REFERENCE)
    options = {"sync_ref_model": True, "ref_model_mixup_alpha": 0.25, "ref_model_sync_steps": 3, "learning_rate": 1e-2}
    trainer = ppo_trainer(tmp_path, roles, total_episodes=16, **options)
    assert trainer.args.ref_model_sync_steps == 4
    seen = []
    roll_out = trainer.roll_out

    def watched(rows):
        before = adapter(roles, POLICY)
        rollout = roll_out(rows)
        seen.append((before, adapter(roles, REFERENCE)))
        return rollout

    trainer.roll_out = watched
    trainer.train()
    (_, first), (policy, second) = seen
    for one, other in zip(first, start, strict=True):
        assert torch.equal(one, other)
    for moved, old, towards in zip(second, start, policy, strict=True):
        torch.testing.assert_close(moved, old + 0.25 * (towards - old))


@pytest.mark.parametrize("shared", [True, False])
def test_a_moving_reference_is_saved_and_found_again(tmp_path, shared):
    options = {
        "sync_ref_model": True,
        "ref_model_sync_steps": 4,
        "total_episodes": 32,
        "learning_rate": 1e-2,
        "save_strategy": "steps",
        "save_steps": 8,
    }

    def roles():
        return shared_roles(reference_moves=True) if shared else separate_roles()

    whole = ppo_trainer(tmp_path / "whole", roles(), **options)
    whole.train()
    again = ppo_trainer(tmp_path / "again", roles(), **options)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-8"))
    for one, other in zip(whole.roles.parameters(), again.roles.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_reference_that_was_not_built_to_move_stays():
    with pytest.raises(ModelError, match="reference_moves"):
        shared_roles().move_reference(0.5)


def test_a_bare_base_as_moving_reference_starts_at_kl_0(tmp_path):
    shape = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    roles = SharedRoles.build(tiny_causal_lm(), new_adapter=shape, reference_moves=True)
    trainer = ppo_trainer(tmp_path, roles)
    trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    assert trainer.meter.means(lambda total: total)["objective/kl"] == 0.0


def test_while_the_values_warm_up_the_policy_stays_to_the_bit(tmp_path):
    roles = shared_roles()
    policy, value = (weights_of(roles.role_parameters()[role]) for role in ("policy", "value"))
    options = {"value_warmup_rollouts": 2, "learning_rate": 1e-2, "weight_decay": 0.1}
    ppo_trainer(tmp_path, roles, total_episodes=16, **options).train()
    for one, other in zip(policy, roles.role_parameters()["policy"], strict=True):
        assert torch.equal(one, other)
    assert any(not torch.equal(one, p) for one, p in zip(value, roles.role_parameters()["value"], strict=True))
    ppo_trainer(tmp_path / "longer", roles, total_episodes=24, **options).train()
    assert any(not torch.equal(one, p) for one, p in zip(policy, roles.role_parameters()["policy"], strict=True))


def each_token(prompts, completions, completion_ids, **columns):
    """1 for each token whose id is even."""
    return [[float(token % 2 == 0) for token in ids] for ids in completion_ids]


def test_rewards_token_by_token_reach_their_tokens(tmp_path):
    trainer = ppo_trainer(
        tmp_path, shared_roles(), lambda prompts, completions, **columns: [0.0] * len(completions), kl_coef=0.0,
        gamma=0.0, whiten_advantages=False, token_rewards=[TokenReward(each_token)],
    )  # fmt: skip
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
    mask = rollout.sequences.response_mask
    ids = rollout.sequences.input_ids[:, rollout.sequences.prompt_width :]
    # Without a discount beyond the next step a return is the token's own reward.
    torch.testing.assert_close(rollout.returns[mask], (ids[mask] % 2 == 0).float(), atol=1e-6, rtol=0)
    means = trainer.meter.means(lambda total: total)
    per_row = ((ids % 2 == 0) * mask).sum(-1).float()
    assert means["rewards/each_token/mean"] == pytest.approx(per_row.mean().item())
    assert means["objective/scores"] == pytest.approx(masked_mean(per_row, torch.ones_like(per_row)).item())


def too_short(prompts, completions, completion_ids, **columns):
    return [[0.0] for _ in completion_ids]


def test_a_token_reward_of_another_length_is_named(tmp_path):
    trainer = ppo_trainer(tmp_path, shared_roles(), token_rewards=[TokenReward(too_short)])
    with pytest.raises(TrainingError, match=r"too_short did not return a finite number for each token"):
        trainer.roll_out([trainer.train_dataset[i] for i in range(8)])
