"""Invariant 10: how a response ends, where its score lands, and what a missing end costs."""

import json
from pathlib import Path

import pytest
import torch

from rlhf.errors import ModelError
from rlhf.models.load import load_tokenizer
from rlhf.trainers.ppo.advantages import token_rewards
from tests.invariants.made import FORMS, rows_of, trainer_of, unequal_answers
from tests.tiny import save_tiny, tiny_tokenizer
from tests.trainers.ppo.setup import shared_roles

EOS, PAD, OTHER = 2, 0, 5

# --- 10. EOS: pad != eos, pad == eos, a stop token of the user's -----------------------------------------------------


@pytest.mark.parametrize("roles", FORMS)
@pytest.mark.parametrize(
    ("options", "stop"), [({}, EOS), ({"stop_token": None}, None), ({"stop_token_id": OTHER}, OTHER)]
)
def test_a_response_ends_with_its_stop_token_which_is_its_last_real_one(tmp_path, roles, options, stop):
    trainer = trainer_of(tmp_path, roles(), response_length=40, per_device_train_batch_size=8, **options)
    answers = trainer._answer(rows_of(trainer, 32), seed=3, numbers=range(32))
    trainer._answer = lambda rows, seed, numbers: answers
    sequences = trainer.roll_out(rows_of(trainer, 32)).sequences
    assert any(one.finished for one in answers) == (stop is not None)
    for row, one in enumerate(answers):
        real = sequences.input_ids[row, sequences.prompt_width :][sequences.response_mask[row]].tolist()
        assert real == one.response_ids
        assert stop not in real[:-1]
        assert one.finished == (real[-1] == stop)
        assert one.finished or len(real) == 40


def saved_with_eos_for_padding(folder: Path, spare: bool) -> str:
    """A model folder whose pad token is its EOS, with or without another token that could stand for padding."""
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    save_tiny(folder)
    tokenizer.save_pretrained(folder)
    if not spare:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_text((folder / name).read_text().replace("<|endoftext|>", "<|used|>"))
    assert json.loads((folder / "tokenizer_config.json").read_text())["pad_token"] == "<|im_end|>"
    return str(folder)


def test_a_folder_with_eos_for_padding_gets_another_pad_token(tmp_path):
    loaded = load_tokenizer(saved_with_eos_for_padding(tmp_path, spare=True))
    assert (loaded.pad_token, loaded.eos_token, loaded.padding_side) == ("<|endoftext|>", "<|im_end|>", "left")


def test_where_no_token_could_stand_for_padding_the_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no token that could stand for padding"):
        load_tokenizer(saved_with_eos_for_padding(tmp_path, spare=False))


@pytest.mark.parametrize("roles", FORMS)
def test_a_trainer_that_is_given_a_tokenizer_with_eos_for_padding_makes_the_same_rollout(tmp_path, roles):
    options = {"response_length": 40, "per_device_train_batch_size": 8, "missing_eos_penalty": 1.0}
    rollouts = []
    for pad_token in ("<|endoftext|>", "<|im_end|>"):
        tokenizer = tiny_tokenizer()
        tokenizer.pad_token = pad_token
        trainer = trainer_of(tmp_path / pad_token, roles(), tokenizer=tokenizer, **options)
        rollouts.append(trainer.roll_out(rows_of(trainer, 32)))
    plain, same = rollouts
    mask = plain.sequences.attention_mask
    assert torch.equal(same.sequences.attention_mask, mask)
    assert (plain.sequences.input_ids[~mask] == PAD).all() and (same.sequences.input_ids[~mask] == EOS).all()
    assert (same.sequences.input_ids[mask] == EOS).any(), "no response came to its end"
    assert torch.equal(same.sequences.input_ids[mask], plain.sequences.input_ids[mask])
    for name in ("logprobs", "values", "advantages", "returns"):
        torch.testing.assert_close(getattr(same, name), getattr(plain, name), atol=1e-5, rtol=1e-5)


# --- 10. The score lands on the last real token; the penalty for a missing EOS is paid once --------------------------


def test_the_score_is_the_last_real_tokens_and_the_kl_is_paid_by_each_token():
    mask = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    kl = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 77.0], [77.0, 77.0, 77.0]])
    rewards, penalties = token_rewards(torch.tensor([10.0, 20.0, 30.0]), kl, mask, kl_coef=2.0)
    torch.testing.assert_close(rewards, torch.tensor([[-0.2, -0.4, 9.4], [-0.8, 19.0, 0.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(penalties, torch.tensor([[-0.2, -0.4, -0.6], [-0.8, -1.0, 0.0], [0.0, 0.0, 0.0]]))


def seven(prompts, completions, **columns):
    return [7.0] * len(completions)


@pytest.mark.parametrize("roles", FORMS)
@pytest.mark.parametrize(
    # score 7, penalty 5; a response that is bootstrapped has no score, and pays all the same
    ("options", "ended", "cut"),
    [
        ({}, 7.0, 7.0),
        ({"missing_eos_penalty": 5.0}, 7.0, 2.0),
        ({"missing_eos_penalty": 5.0, "stop_token_id": OTHER}, 7.0, 2.0),
    ],
)
def test_each_response_gets_its_score_once_at_its_last_token_and_pays_once_for_a_missing_end(
    tmp_path, roles, options, ended, cut
):
    # With gamma 0 a return is the reward of its own token.
    trainer = trainer_of(tmp_path, roles(), seven, gamma=0.0, kl_coef=0.0, whiten_advantages=False, **options)
    answers = unequal_answers(trainer)
    rollout = trainer.roll_out(rows_of(trainer))
    assert {one.finished for one in answers} == {True, False}
    expected = torch.zeros(8, 8)
    for row, one in enumerate(answers):
        expected[row, len(one.response_ids) - 1] = ended if one.finished else cut
    torch.testing.assert_close(rollout.returns, expected, atol=1e-6, rtol=0)
    figures = trainer.meter.means(lambda total: total)
    assert figures["objective/scores_before_penalty"] == 7.0
    assert figures["objective/scores"] == pytest.approx(expected.sum().item() / 8)


def test_a_response_that_is_bootstrapped_has_no_score_and_pays_once_all_the_same(tmp_path):
    options = {"gamma": 0.0, "kl_coef": 0.0, "whiten_advantages": False, "missing_eos_penalty": 5.0}
    trainer = trainer_of(tmp_path, shared_roles(), seven, bootstrap_truncated=True, **options)
    answers = unequal_answers(trainer)
    rollout = trainer.roll_out(rows_of(trainer))
    expected = torch.zeros(8, 8)
    for row, one in enumerate(answers):
        expected[row, len(one.response_ids) - 1] = 7.0 if one.finished else -5.0
    torch.testing.assert_close(rollout.returns, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("stop", [EOS, OTHER])
def test_the_penalty_asks_for_the_stop_token_of_the_run(tmp_path, stop):
    options = {"response_length": 40, "per_device_train_batch_size": 8, "missing_eos_penalty": 5.0, "kl_coef": 0.0}
    trainer = trainer_of(tmp_path, shared_roles(), seven, gamma=0.0, stop_token_id=stop, **options)
    answers = trainer._answer(rows_of(trainer, 32), seed=3, numbers=range(32))
    trainer._answer = lambda rows, seed, numbers: answers
    rollout = trainer.roll_out(rows_of(trainer, 32))
    ends = {one.response_ids[-1] == stop for one in answers}
    assert ends == {True, False}
    for row, one in enumerate(answers):
        expected = 7.0 if one.response_ids[-1] == stop else 2.0
        assert rollout.returns[row].sum().item() == pytest.approx(expected, abs=1e-5)
