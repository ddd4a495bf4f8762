"""Invariant 17: what is run once beneath the trained layers gives what the plain forward gives."""

import pytest
import torch
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf.models.adapters import active_adapter
from rlhf.models.roles import Sequences
from rlhf.models.shared_roles import POLICY, REFERENCE, VALUE, SharedRoles
from rlhf.trainers.ppo.losses import policy_loss, value_loss
from tests.invariants.made import PAD, close, disturb
from tests.models.test_trunk import ARCHITECTURES, SIZES

# Prompts of 1, 4 and 3 tokens, padded on the left; responses of 4, 2 and 3, padded on the right.
IDS = torch.tensor([[0, 0, 0, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17, 0, 0], [0, 18, 19, 20, 21, 22, 23, 0]])
SEQUENCES = Sequences(IDS, IDS != PAD, prompt_width=4, trunk={})
TEMPERATURE = 0.7
# Layers that look back over 3 tokens among such that look back over all.
LOCAL, GLOBAL = "sliding_attention", "full_attention"
MIXED_ATTENTION = {"sliding_window": 3, "layer_types": [LOCAL, GLOBAL, GLOBAL, LOCAL]}


def build(architecture: str, policy_layers: int, value_layers: int) -> SharedRoles:
    """Four layers, of which so many are trained; all that is trained, and the value head, is moved from its start."""
    torch.manual_seed(0)
    own = MIXED_ATTENTION if architecture in ("gemma2", "gemma3_text") else {}
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **SIZES, **own)).eval()
    roles = SharedRoles.build(
        base,
        new_adapter=LoraConfig(r=4, target_modules="all-linear"),
        policy_layers=policy_layers,
        value_layers=value_layers,
        reference_moves=True,
    )
    for group in roles.role_parameters().values():
        disturb(group, by=0.1)
    roles.temperature = TEMPERATURE
    return roles


def plain_forward(roles: SharedRoles) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and values by the model's own forward through all of its layers, one adapter at a time."""
    options = {"input_ids": IDS, "attention_mask": (IDS != PAD).long(), "use_cache": False}
    options["position_ids"] = (options["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    with active_adapter(roles.model, POLICY):
        logits = roles.model(**options).logits[:, 3:-1].float()
    logprobs = (logits / TEMPERATURE).log_softmax(-1).gather(-1, IDS[:, 4:, None]).squeeze(-1)
    with active_adapter(roles.model, VALUE):
        states = roles.model(**options, output_hidden_states=True).hidden_states[-1]
    return logprobs * SEQUENCES.response_mask, roles.value_head(states[:, 3:-1])


def loss_and_gradients(roles: SharedRoles, logprobs: torch.Tensor, values: torch.Tensor):
    """The losses of PPO against a made-up rollout, and their gradient in all that is trained."""
    generator = torch.Generator().manual_seed(1)
    advantages, returns, noise = (torch.randn(3, 4, generator=generator) for _ in range(3))
    mask = SEQUENCES.response_mask
    policy = policy_loss(logprobs, logprobs.detach() + 0.1 * noise, advantages, cliprange=0.2).loss
    value = value_loss(values, values.detach() + 0.1 * noise, returns, cliprange_value=0.2).loss
    roles.zero_grad()
    loss = ((policy + value) * mask).sum() / mask.sum()
    loss.backward()
    return loss.detach(), [p.grad.clone() for group in roles.role_parameters().values() for p in group]


@pytest.mark.parametrize("depths", [(1, 3), (3, 2), (4, 2)])  # a role that trains all four has nothing to keep
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_trunk_gives_the_losses_and_gradients_of_the_plain_forward(architecture, depths):
    roles = build(architecture, *depths)
    kept = roles.run_trunk(SEQUENCES)
    of_roles = {role for role, depth in zip(("policy", "value"), depths, strict=True) if depth < 4}
    assert set(kept.trunk) == of_roles and not any(x.requires_grad for x in kept.trunk.values())
    output = roles(kept)
    logprobs, values = plain_forward(roles)
    mask = SEQUENCES.response_mask
    torch.testing.assert_close(output.logprobs, logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.values[:, :-1][mask], values[mask], atol=1e-5, rtol=1e-5)
    plain_loss, plain_gradients = loss_and_gradients(roles, logprobs, values)
    loss, gradients = loss_and_gradients(roles, output.logprobs, output.values[:, :-1])
    torch.testing.assert_close(loss, plain_loss, atol=1e-6, rtol=1e-5)
    close(gradients, plain_gradients, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_trunk_serves_every_epoch_whatever_the_steps_between_them(architecture):
    roles = build(architecture, policy_layers=2, value_layers=1)
    kept = roles.run_trunk(SEQUENCES)
    for seed in (2, 3):
        for group in roles.role_parameters().values():
            disturb(group, by=0.1, seed=seed)
        logprobs, _ = plain_forward(roles)
        torch.testing.assert_close(roles(kept).logprobs, logprobs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_reference_runs_on_the_policys_trunk_and_is_its_own_plain_forward():
    roles = build("llama", policy_layers=2, value_layers=4)
    roles.move_reference(0.5)
    kept = roles.run_trunk(SEQUENCES)
    with active_adapter(roles.model, REFERENCE):
        logits = roles.model(
            input_ids=IDS,
            attention_mask=(IDS != PAD).long(),
            position_ids=((IDS != PAD).long().cumsum(-1) - 1).clamp(min=0),
        ).logits[:, 3:-1]
    expected = (logits / TEMPERATURE).log_softmax(-1).gather(-1, IDS[:, 4:, None]).squeeze(-1)
    ours = roles.reference_logprobs(kept)
    torch.testing.assert_close(ours, expected * SEQUENCES.response_mask, atol=1e-5, rtol=1e-5)
    assert (ours - roles.policy_logprobs(kept)).abs().max() > 1e-3
