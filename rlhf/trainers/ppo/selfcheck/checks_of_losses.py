"""Checks of losses and gradients: padding, micro-batches, clipping, kept states, and where the score is paid."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rlhf.generation import Generation, ends_of_turn
from rlhf.models.adapters import active_adapter
from rlhf.models.heads import ScalarHead
from rlhf.models.roles import PolicyAndValues, Sequences, response_logprobs, response_values
from rlhf.models.scoring import bare, hidden_states
from rlhf.models.shared_roles import POLICY, VALUE, SharedRoles
from rlhf.models.trunk import decoder_of
from rlhf.trainers.ppo.advantages import own_process, token_rewards
from rlhf.trainers.ppo.rollout import pad_generations
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Failure, Measured, NotApplicable
from rlhf.trainers.ppo.selfcheck.probes import (
    Difference,
    backward,
    compare_losses,
    gradient_norms,
    logprob_differences,
    padded,
    pieces,
    uneven,
    whole,
)
from rlhf.trainers.ppo.selfcheck.subject import MISSING_EOS_PENALTY, Subject


def padding_changes_no_gradient(subject: Subject) -> Evidence:
    """More padding, on the left and on the right, changes neither loss nor gradients."""
    rollout = uneven(subject.roll_out())
    pad = int(subject.tokenizer().pad_token_id)
    difference = compare_losses(subject.trainer(), whole(rollout), whole(padded(rollout, pad)))
    return difference.measured(
        subject.tolerances,
        "Padding takes part in the loss: the model ignores its attention mask or its position ids.",
        "Use a current version of the model's code, or another attn_implementation (sdpa, eager).",
    )


def micro_batches_equal_one_batch(subject: Subject) -> Evidence:
    """A minibatch of unequal lengths has the same loss and gradients in one piece and row by row."""
    rollout = uneven(subject.roll_out())
    difference = compare_losses(subject.trainer(), whole(rollout), pieces(rollout, 1))
    return difference.measured(
        subject.tolerances,
        "What a row contributes depends on the rows beside it: the model mixes the rows of a batch, or its padding "
        "reaches the answers.",
        "Use a model without batch statistics and without expert capacities that are shared by a batch.",
    )


def gradients_are_clipped_by_their_norm(subject: Subject) -> Evidence:
    """max_grad_norm clips each role's gradient, and the logged norm is that of the gradient before."""
    trainer = subject.trainer()
    trainer.roles.zero_grad()
    backward(trainer, whole(uneven(subject.roll_out())))
    true = gradient_norms(trainer.roles)
    limit, trainer.args.max_grad_norm = trainer.args.max_grad_norm, min(true.values()) / 2
    try:
        trainer._clip_grad_norm(trainer.roles)
        logged, clipped = trainer.meter.means(own_process), gradient_norms(trainer.roles)
        reason, remedy = "The step that is taken is not the one that is logged.", "Report it: this is our own code."
        wrong = {role: abs(logged[f"grad_norm/{role}"] / norm - 1) for role, norm in true.items()}
        over = {role: norm / trainer.args.max_grad_norm - 1 for role, norm in clipped.items()}
    finally:
        trainer.args.max_grad_norm = limit
        trainer.roles.zero_grad()
    return [
        Measured("logged norm, relative error", max(wrong.values()), 1e-3, reason, remedy),
        Measured("clipped norm over the limit by", max(0.0, *over.values()), 1e-3, reason, remedy),
    ]


@torch.no_grad()
def the_score_is_paid_at_the_end(subject: Subject) -> Evidence:
    """The score lands on the last real token, EOS included, and a missing EOS is paid for once."""
    _the_last_token_is_eos(subject)
    rollout = subject.roll_out()
    sequences, mask = rollout.sequences, rollout.sequences.response_mask
    stops = torch.tensor(ends_of_turn(subject.causal_lm, subject.tokenizer()), device=mask.device)
    last = sequences.prompt_width + mask.sum(-1) - 1
    finished = torch.isin(sequences.input_ids[torch.arange(len(mask)), last], stops)
    # Discount and lambda are 1 and the KL costs nothing: what is returned after any token is what the end is paid.
    paid = torch.arange(1.0, len(mask) + 1, device=mask.device) - MISSING_EOS_PENALTY * ~finished
    error = (rollout.returns - paid[:, None] * mask).abs().max()
    return [
        Measured(
            f"largest error of a return ({int(finished.sum())} of {len(mask)} responses ended)",
            float(error),
            1e-3,
            "The score, or the penalty for a missing EOS, is not paid exactly once at the last real token.",
            "Check that pad and EOS are different tokens; otherwise report it: this is our own code.",
        )
    ]


def kept_states_give_the_plain_forward(subject: Subject) -> Evidence:
    """With a third of the layers trained over kept states, log-probabilities and gradients are the plain forward's."""
    roles = subject.roles()
    if not isinstance(roles, SharedRoles):
        raise NotApplicable("whole models are trained in all layers and keep no states")
    layers = len(decoder_of(bare(roles.model)).layers)
    if layers == 1:
        raise NotApplicable("the model has one layer")
    rollout = subject.rollout()
    sequences = rollout.sequences.with_trunk({})
    with _shallow(roles, max(1, layers // 3)) as view:
        weights = torch.randn(2, *sequences.response_mask.shape, generator=torch.Generator().manual_seed(0))
        weights = weights.to(view.device) * sequences.response_mask
        kept = view(view.run_trunk(sequences))
        _weighted(kept, weights).backward()  # type: ignore[no-untyped-call]
        norms = gradient_norms(view)
        plain = _plain_forward(view, sequences)
        (-_weighted(plain, weights)).backward()  # type: ignore[no-untyped-call]
        rest = gradient_norms(view)
        view.zero_grad()
    reason = "Layers take more from beneath than the hidden states that enter them, and the kept states lack it."
    remedy = "Leave policy_layers and value_layers out with this architecture: all layers are then run each time."
    difference = Difference(
        float((_weighted(kept, weights) - _weighted(plain, weights)).detach().abs() / sequences.response_mask.sum()),
        {role: rest[role] / norms[role] for role in rest},
    )
    return [
        *logprob_differences(
            f"{view.depths['policy']} of {layers} layers",
            kept.logprobs.detach(),
            plain.logprobs.detach(),
            sequences.response_mask,
            subject.tolerances.logprob,
            reason,
            remedy,
        ),
        *difference.measured(subject.tolerances, reason, remedy),
    ]


@contextmanager
def _shallow(roles: SharedRoles, depth: int) -> Iterator[SharedRoles]:
    """The same adapters in roles that train the top layers only; what is trained is put back afterwards.

    The value head is a random one: at the start it may be 0, and no gradient would pass it.
    """
    trained = [parameter.requires_grad for parameter in roles.parameters()]
    size = roles.value_head.linear.in_features
    weight = torch.randn(1, size, generator=torch.Generator().manual_seed(1)) / size**0.5
    try:
        view = SharedRoles(
            roles.model,
            ScalarHead(size, weight).to(roles.device),
            policy_layers=depth,
            value_layers=depth,
            has_reference_adapter=roles.reference is not None,
            value_from_reward=roles.beneath["value"] == VALUE,
        )
        view.temperature = roles.temperature
        yield view
    finally:
        for parameter, flag in zip(roles.parameters(), trained, strict=True):
            parameter.requires_grad_(flag)


def _plain_forward(roles: SharedRoles, sequences: Sequences) -> PolicyAndValues:
    """Policy and values from all layers at once, as if nothing were kept."""
    with active_adapter(roles.model, POLICY):
        hidden = hidden_states(roles.model, sequences.input_ids, sequences.attention_mask)
        logprobs, entropies = response_logprobs(bare(roles.model), hidden, sequences, roles.temperature)
    with active_adapter(roles.model, VALUE):
        hidden = hidden_states(roles.model, sequences.input_ids, sequences.attention_mask)
    return PolicyAndValues(logprobs, entropies, response_values(roles.value_head, hidden, sequences))


def _weighted(seen: PolicyAndValues, weights: torch.Tensor) -> torch.Tensor:
    """A number that every log-probability and every value has a part in."""
    return (seen.logprobs * weights[0]).sum() + (seen.values[:, :-1] * weights[1]).sum()


def _the_last_token_is_eos(subject: Subject) -> None:
    """Two responses that end with EOS, of 3 tokens and of 1: the score is to land there.

    Raises:
        Failure: it lands elsewhere.
    """
    tokenizer: Any = subject.tokenizer()
    words = tokenizer("one two three four", add_special_tokens=False)["input_ids"]
    responses = [[*words[:2], tokenizer.eos_token_id], [tokenizer.eos_token_id]]
    generations = [Generation(words, response, [0.0] * len(response), finished=True) for response in responses]
    mask = pad_generations(generations, tokenizer.pad_token_id, torch.device("cpu")).response_mask
    rewards, _ = token_rewards(torch.tensor([1.0, 2.0]), torch.zeros(mask.shape), mask, 0.0)
    if rewards.tolist() != [[0.0, 0.0, 1.0], [2.0, 0.0, 0.0]]:
        raise Failure(
            f"Scores 1 and 2 of responses with EOS at positions 2 and 0 are paid as {rewards.tolist()}.",
            "Give the tokenizer a pad token that is not EOS.",
        )
