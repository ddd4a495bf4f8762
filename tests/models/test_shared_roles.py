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
