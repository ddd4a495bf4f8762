"""Rollouts and gradients for the tests of this folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from rlhf.generation import Generation
from rlhf.models.roles import Roles, Sequences
from rlhf.trainers.ppo.rollout import MicroBatch, Rollout
from rlhf.trainers.ppo.trainer import PPOTrainer
from tests.trainers.ppo.setup import ppo_trainer, separate_roles, shared_roles

PAD = 0


def top_layers() -> Roles:
    return shared_roles(policy_layers=1, value_layers=2)


FORMS = [shared_roles, top_layers, separate_roles]


def characters(prompts, completions, **columns):
    """A reward that tells answers apart: how long the text is, in tens of characters."""
    return [len(text) / 10 for text in completions]


def trainer_of(folder: Path, roles: Roles, reward=characters, **options) -> PPOTrainer:
    """8 prompts of unequal lengths a rollout, 2 epochs of 2 minibatches of 2 micro-batches of 2, temperature 0.7."""
    return ppo_trainer(folder, roles, reward, **({"temperature": 0.7} | options))


def rows_of(trainer: PPOTrainer, count: int = 8) -> list[dict]:
    return [trainer.train_dataset[i] for i in range(count)]


def disturb(parameters: Sequence[nn.Parameter], by: float = 0.05, seed: int = 0) -> None:
    """Move weights by Gaussian noise, so that a policy is not its reference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(by * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))


def unequal_answers(trainer: PPOTrainer) -> list[Generation]:
    """Answers to 8 prompts, cut to lengths from 1 to 8; rollouts of the trainer consist of them from now on."""
    whole = trainer._answer(rows_of(trainer), seed=1, numbers=range(8))
    lengths = [3, 8, 1, 5, 8, 2, 7, 4]
    cut = [
        replace(one, response_ids=one.response_ids[:n], logprobs=one.logprobs[:n], finished=n < 8)
        for one, n in zip(whole, lengths, strict=True)
    ]
    trainer._answer = lambda rows, seed, numbers: cut
    return cut


def whole_batch(rollout: Rollout) -> MicroBatch:
    """All rows of a rollout as the one micro-batch of its only minibatch, with the padding that they have."""
    return MicroBatch(rollout, rollout.sequences.response_mask.sum(), step=0, number=0)


def padded(sequences: Sequences, left: int, right: int) -> Sequences:
    """More padding on both sides, and nothing kept of the layers beneath."""
    return Sequences(
        nn.functional.pad(sequences.input_ids, (left, right), value=PAD),
        nn.functional.pad(sequences.attention_mask, (left, right), value=False),
        sequences.prompt_width + left,
        trunk={},
    )


def loss_and_gradients(trainer: PPOTrainer, batches: Sequence[MicroBatch]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The losses of micro-batches added up, and the gradient that they leave in each trained weight."""
    trainer.roles.zero_grad()
    total = torch.tensor(0.0)
    for batch in batches:
        loss = trainer.compute_loss(trainer.roles, batch)
        loss.backward()
        total += loss.detach()
    return total, [p.grad.clone() for group in trainer.roles.role_parameters().values() for p in group]


def close(ours: Sequence[torch.Tensor], others: Sequence[torch.Tensor], atol: float = 1e-6, rtol: float = 1e-4) -> None:
    """Tensor by tensor; at least one of them is not zero throughout."""
    assert any(tensor.abs().max() > 1e-4 for tensor in others)
    for one, other in zip(ours, others, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=rtol)
