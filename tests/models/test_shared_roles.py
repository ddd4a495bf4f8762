"""One base, four roles: what each adapter starts from, and that none touches another."""

import pytest
import torch
from peft import LoraConfig

from rlhf.errors import ModelError
from rlhf.models.roles import Sequences
from rlhf.models.shared_roles import SharedRoles
from tests.models.saved import save_stages
from tests.tiny import tiny_causal_lm

IDS = torch.tensor([[0, 0, 5, 6, 7, 8, 9, 2], [3, 4, 5, 6, 7, 8, 0, 0]])
MASK = IDS != 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_stages(tmp_path_factory.mktemp("roles"))


def build(folders, **options):
    return SharedRoles.build(
        tiny_causal_lm(), sft_adapter=str(folders / "sft"), reward_adapters=[str(folders / "reward")], **options
    )


def sequences():
    return Sequences(IDS, MASK, prompt_width=4, trunk={})


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_value_role_starts_as_the_reward_model(folders, layers):
    roles = build(folders, policy_layers=2, value_layers=layers)
    values = roles(sequences()).values
    scores = roles.reward_scores([(IDS, MASK)]).scores[0]
    torch.testing.assert_close(values[0, -1], scores[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values[1, 2], scores[1], atol=1e-5, rtol=1e-5)


def test_what_is_saved_is_what_is_loaded(folders, tmp_path):
    roles, other = build(folders), build(folders)
    with torch.no_grad():
        for parameter in roles.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        roles.save(tmp_path)
        other.load(tmp_path)
        for ours, theirs in zip(roles(sequences())[:3], other(sequences())[:3], strict=True):
            assert torch.equal(ours, theirs)


def test_without_an_adapter_or_a_shape_there_is_nothing_to_train():
    with pytest.raises(ModelError, match="no SFT adapter"):
        SharedRoles.build(tiny_causal_lm())


def test_an_adapter_of_another_base_is_refused(folders, tmp_path):
    with pytest.raises((ModelError, RuntimeError)):
        SharedRoles.build(tiny_causal_lm(layers=1), sft_adapter=str(folders / "sft"))


def test_an_adapter_that_changes_the_base_is_refused(tmp_path):
    shape = LoraConfig(r=4, target_modules="all-linear", init_lora_weights="pissa")
    with pytest.raises(ModelError, match="initialized by pissa"):
        SharedRoles.build(tiny_causal_lm(), new_adapter=shape)


def disturbed(folders, **options):
    """Roles whose adapters, policy and value alike, are far from where they start."""
    roles = build(folders, **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in roles.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return roles


def outputs_and_gradients(roles):
    output = roles(sequences())
    weights = torch.linspace(-1, 2, output.values.numel()).view_as(output.values)
    ((output.logprobs * weights[:, 1:]).sum() + (output.values * weights).sum()).backward()
    return [
        *output[:3],
        *(parameter.grad for parameters in roles.role_parameters().values() for parameter in parameters),
    ]


@pytest.mark.parametrize("layers", [3, 2, 1])
def test_policy_and_value_in_one_pass_are_what_they_are_one_after_the_other(folders, layers):
    together = disturbed(folders, policy_layers=layers, value_layers=layers)
    apart = disturbed(folders, policy_layers=layers, value_layers=layers)
    assert together._together
    apart._together = False
    for ours, expected in zip(outputs_and_gradients(together), outputs_and_gradients(apart), strict=True):
        assert expected.abs().sum() > 0
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)
    assert not any(hasattr(layer, "together") for layer in together._tuner_layers)


def test_an_adapters_dropout_does_not_keep_the_roles_apart():
    shape = LoraConfig(r=4, target_modules="all-linear", lora_dropout=0.5)
    assert SharedRoles.build(tiny_causal_lm(), new_adapter=shape)._together


def test_roles_of_other_depths_or_other_layers_run_one_after_the_other(folders):
    assert not build(folders, policy_layers=2, value_layers=3)._together
    policy_on_some = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    roles = SharedRoles.build(tiny_causal_lm(), reward_adapters=[str(folders / "reward")], new_adapter=policy_on_some)
    assert not roles._together
    assert roles(sequences()).values.shape == (2, 5)
