"""Each check of the self-check fails on what is broken in just its way, and says so."""

import re

import pytest
import torch

from rlhf.rewards.model import ModelReward
from rlhf.trainers.ppo.selfcheck import (
    check_of_learning,
    checks_of_logprobs,
    checks_of_losses,
    checks_of_rewards,
    checks_of_roles,
    checks_of_tokens,
)
from rlhf.trainers.ppo.selfcheck.registry import CHECKS, LEARNING, Check
from rlhf.trainers.ppo.selfcheck.run import run_check
from rlhf.trainers.ppo.selfcheck.subject import Subject
from rlhf.trainers.ppo.trainer import PPOTrainer
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.trainers.ppo import broken
from tests.trainers.ppo.broken import block_is, decoder_is, roles_of, with_template

TURN = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
OPENED = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def subject(folder, roles=None, tokenizer=None, trainer=PPOTrainer, **reward):
    return Subject(
        folder,
        tokenizer=tokenizer or tiny_tokenizer,
        roles=roles or (lambda: roles_of(tiny_causal_lm())),
        trainer_class=trainer,
        **reward,
    )


def model_is(make):
    return {"roles": lambda: roles_of(make())}


def trainer_is(trainer_class):
    return {"trainer": trainer_class}


def tokenizer_is(make):
    return {"tokenizer": make}


BROKEN = {
    "pad-is-eos": (checks_of_tokens.padding_ends_nothing, tokenizer_is(broken.pads_with_eos), "masks every ending"),
    "lower-case": (
        checks_of_tokens.decoding_gives_back_the_text,
        tokenizer_is(broken.loses_capitals),
        "it 's here",
    ),
    "first-space": (
        checks_of_tokens.decoding_gives_back_the_text,
        tokenizer_is(broken.loses_the_first_space),
        "decoded apart from its prompt is 'plot",
    ),
    "prompts-end": (
        checks_of_tokens.the_mask_covers_the_completion,
        tokenizer_is(broken.ends_prompts_with_eos),
        "prompts too",
    ),
    "closed-template": (
        checks_of_tokens.the_template_opens_the_assistants_turn,
        tokenizer_is(lambda: with_template(TURN + "<|im_end|>\n{% endfor %}")),
        "add_generation_prompt changes nothing",
    ),
    "another-head": (
        checks_of_tokens.the_template_opens_the_assistants_turn,
        tokenizer_is(lambda: with_template(TURN + "<|im_end|>\n{% endfor %}" + OPENED.replace("tant", "tant\nHm:"))),
        "does not go on from there",
    ),
    "another-end": (
        checks_of_tokens.a_response_ends_where_a_turn_does,
        tokenizer_is(lambda: with_template(TURN + "<|endoftext|>\n{% endfor %}" + OPENED)),
        r"ends a turn with <\|endoftext\|> \(0\), but sampling stops at <\|im_end\|> \(2\)",
    ),
    "no-end": (
        checks_of_tokens.a_response_ends_where_a_turn_does,
        tokenizer_is(lambda: with_template(TURN + "\n{% endfor %}" + OPENED)),
        "no token at which sampling stops",
    ),
    "random-logits": (
        checks_of_roles.the_roles_can_be_built,
        model_is(lambda: block_is(broken.DropsOut())),
        "other logits each time",
    ),
    "embeddings": (
        checks_of_tokens.every_token_has_an_embedding,
        model_is(lambda: _without_the_last_embedding()),
        "is a token of the tokenizer, but the model has 399 embeddings",
    ),
    "dropout": (
        checks_of_logprobs.equal_tokens_give_equal_numbers,
        model_is(lambda: block_is(broken.DropsOut(rows=2))),
        "Dropout",
    ),
    "dropout-ratio": (
        checks_of_logprobs.the_first_ratio_is_1,
        model_is(lambda: block_is(broken.DropsOut(rows=2))),
        "other log-probabilities than the one of the rollout",
    ),
    "random-start": (
        checks_of_logprobs.the_policy_starts_at_its_reference,
        {"roles": lambda: roles_of(tiny_causal_lm(), init_lora_weights=False)},
        "Policy and reference differ at the start",
    ),
    "blind": (
        checks_of_logprobs.padding_leaves_logprobs_alone,
        model_is(lambda: decoder_is(broken.BlindToMask)),
        "ignores its attention mask",
    ),
    "blind-sampling": (
        checks_of_logprobs.sampling_and_training_agree,
        model_is(lambda: decoder_is(broken.BlindToMask)),
        "padding on the left reaches the answers",
    ),
    "blind-loss": (
        checks_of_losses.padding_changes_no_gradient,
        model_is(lambda: decoder_is(broken.BlindToMask)),
        "Padding takes part in the loss",
    ),
    "cache": (
        checks_of_logprobs.sampling_and_training_agree,
        model_is(lambda: decoder_is(broken.SharperWithCache)),
        "the cache loses something",
    ),
    "draws": (
        checks_of_logprobs.draws_follow_the_distribution,
        model_is(lambda: decoder_is(broken.SharperWithCache)),
        "not drawn with the probabilities",
    ),
    "past-the-layers": (
        checks_of_losses.kept_states_give_the_plain_forward,
        model_is(lambda: decoder_is(broken.LooksBackAtEmbeddings)),
        "can.t be run by themselves",
    ),
    "mixed-rows": (
        checks_of_losses.micro_batches_equal_one_batch,
        model_is(lambda: block_is(broken.MixesRows())),
        "depends on the rows beside it",
    ),
    "unclipped": (
        checks_of_losses.gradients_are_clipped_by_their_norm,
        trainer_is(broken.DoesNotClip),
        "not the one that is logged",
    ),
    "charged-twice": (
        checks_of_losses.the_score_is_paid_at_the_end,
        trainer_is(broken.ChargesTwice),
        "not paid exactly once",
    ),
    "counts-runs": (
        checks_of_roles.sampling_leaves_the_base_alone,
        model_is(lambda: block_is(broken.CountsItsRuns())),
        r"Sampling changed 1 of \d+ tensors, such as .*runs",
    ),
    "counts-steps": (
        checks_of_roles.a_step_changes_the_trained_roles_alone,
        model_is(lambda: block_is(broken.CountsItsRuns())),
        r"changed 1 tensors that no role trains, such as .*runs",
    ),
    "stands-still": (
        checks_of_roles.a_step_changes_the_trained_roles_alone,
        trainer_is(broken.StandsStill),
        "changed nothing of the policy and of the value role",
    ),
    "shared-weights": (
        checks_of_roles.roles_do_not_touch_each_other,
        {"roles": broken.value_shares_the_policys_weights},
        "New weights in the policy role changed the results of: value",
    ),
    "head-not-loaded": (
        checks_of_roles.what_is_saved_is_what_is_loaded,
        {"roles": lambda: roles_of(tiny_causal_lm(), broken.ForgetsTheValueHead)},
        "lacks a part of what is trained",
    ),
}


def _without_the_last_embedding():
    model = tiny_causal_lm()
    model.resize_token_embeddings(399, mean_resizing=False)
    return model


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_fails_on_what_is_broken_in_its_way(tmp_path, name):
    look, parts, reason = BROKEN[name]
    result = run_check(subject(tmp_path, **parts), Check(name, look))
    assert result.outcome == "failed"
    assert re.search(reason, result.reason), result.reason
    assert result.remedy


REWARDS = {
    "last-column": (
        checks_of_rewards.scores_do_not_depend_on_the_batch,
        broken.scores_last_column,
        "reaches the score",
    ),
    "another-template": (
        checks_of_rewards.the_policys_tokens_are_the_reward_models,
        tiny_classifier,
        "reads .* otherwise than the reward model's, from token",
    ),
}


@pytest.mark.parametrize("name", REWARDS)
def test_a_check_of_the_reward_fails_on_what_is_broken_in_its_way(tmp_path, name):
    look, make, reason = REWARDS[name]
    reward = ModelReward(make(), with_template(TURN + "<|im_end|>{% endfor %}"))
    result = run_check(subject(tmp_path, reward=reward, reward_is_a_role=True), Check(name, look))
    assert result.outcome == "failed" and re.search(reason, result.reason), result.reason


def test_the_checks_that_are_shown_to_fail_are_all_checks():
    """Beyond those above "reward: role" in test_selfcheck.py, and learning below."""
    shown = {look for look, _, _ in [*BROKEN.values(), *REWARDS.values()]}
    elsewhere = {checks_of_rewards.the_role_scores_as_the_reward_model}
    assert {check.look for check in CHECKS} == shown | elsewhere


def test_a_part_that_cannot_be_made_fails_once_and_the_checks_on_it_are_not_run(tmp_path):
    calls = []

    def roles():
        calls.append(1)
        raise KeyError("layers")

    whole = subject(tmp_path, roles=roles)
    results = [run_check(whole, check) for check in CHECKS]
    by_outcome = {outcome: [r.name for r in results if r.outcome == outcome] for outcome in ("failed", "not run")}
    assert calls == [1]
    assert by_outcome["failed"] == ["roles"]
    assert len(by_outcome["not run"]) == 17
    failed = next(r for r in results if r.outcome == "failed")
    assert re.fullmatch(r"KeyError: 'layers' \(test_selfcheck_failures.py, line \d+\)", failed.reason)


def test_a_number_that_is_nan_never_passes(tmp_path):
    def not_a_number():
        model = tiny_causal_lm()
        with torch.no_grad():
            model.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
        return roles_of(model)

    result = run_check(subject(tmp_path, roles=not_a_number), CHECKS[9])
    assert result.name == "equal runs" and result.outcome == "failed"


def test_a_policy_that_stands_still_does_not_learn(tmp_path, monkeypatch):
    monkeypatch.setattr(check_of_learning, "ROLLOUTS", 3)
    result = run_check(subject(tmp_path, trainer=broken.StandsStill), LEARNING)
    assert LEARNING.look is check_of_learning.the_policy_learns
    assert result.outcome == "failed" and "may be chance" in result.reason
