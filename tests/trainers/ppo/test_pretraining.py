"""The language-modelling loss beside PPO: its value, its gradient, its share by micro-batches."""

import pytest
import torch

from rlhf.data import Row
from rlhf.errors import ConfigError
from rlhf.trainers.ppo.pretraining import EncodedText, PretrainingMix, encode_texts
from tests.tiny import tiny_tokenizer
from tests.trainers.ppo.setup import ppo_trainer, separate_roles, shared_roles

TEXTS = [EncodedText([5, 6, 7, 8], [False, True, True, True]), EncodedText([9, 10], [False, True])]


def mix(texts=TEXTS, batch_size=2):
    return PretrainingMix(texts, pad_token_id=0, batch_size=batch_size, seed=0)


def gradients(trainer, rollout, coefficient):
    """Of the policy, for one minibatch without advantages: what is left is the gradient of the texts."""
    trainer.args.ptx_coef = coefficient
    rollout.advantages.zero_()
    trainer.roles.zero_grad()
    for batch in list(trainer._epochs_over(rollout))[: trainer.args.gradient_accumulation_steps]:
        trainer.compute_loss(trainer.roles, batch).backward()
    return [parameter.grad.clone() for parameter in trainer.roles.role_parameters()["policy"]]


@pytest.mark.parametrize("roles", [shared_roles, separate_roles])
def test_the_gradient_is_that_of_the_mean_negative_log_likelihood(tmp_path, roles):
    trainer = ppo_trainer(tmp_path, roles(), num_mini_batches=1, ptx_coef=3.0, ptx_batch_size=2, pretraining=mix())
    rollout = trainer.roll_out([trainer.train_dataset[i] for i in range(4)])
    ours = gradients(trainer, rollout, 3.0)
    trainer.roles.zero_grad()
    model = getattr(trainer.roles, "model", None) or trainer.roles.policy
    loss = torch.tensor(0.0)
    for text in TEXTS:
        ids = torch.tensor([text.input_ids])
        logprobs = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        loss = loss - logprobs.gather(-1, ids[0, 1:, None]).sum()
    (3.0 * loss / 4).backward()  # four tokens are predicted in all
    expected = [parameter.grad for parameter in trainer.roles.role_parameters()["policy"]]
    assert any(gradient.abs().max() > 1e-3 for gradient in expected)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_texts_are_predicted_from_their_second_token_and_examples_in_their_completion():
    tokenizer = tiny_tokenizer()
    (text,) = encode_texts(tokenizer, [Row({"text": "A great cast"})], "text", max_length=64)
    assert text.loss_mask == [False] + [True] * (len(text.input_ids) - 1)
    (example,) = encode_texts(tokenizer, [Row({"prompt": "You", "completion": " are"})], "sft", max_length=64)
    prompt = len(tokenizer("You")["input_ids"])
    assert example.loss_mask == [at >= prompt for at in range(len(example.input_ids))]
    assert encode_texts(tokenizer, [Row({"text": "A great cast"})], "text", max_length=1) == []


def test_a_step_draws_the_same_texts_again_and_another_step_others():
    texts = [EncodedText([i, i], [False, True]) for i in range(50)]
    chosen = mix(texts, batch_size=8)
    assert chosen.batch(3) == mix(texts, batch_size=8).batch(3) != chosen.batch(4)
    assert len({text.input_ids[0] for text in chosen.batch(3)}) == 8


def test_too_few_texts_and_a_weight_without_texts_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="too few"):
        mix(batch_size=3)
    with pytest.raises(ConfigError, match="ptx_coef"):
        ppo_trainer(tmp_path, shared_roles(), ptx_coef=1.0)
    with pytest.raises(ConfigError, match="ptx_coef"):
        ppo_trainer(tmp_path, shared_roles(), pretraining=mix())
