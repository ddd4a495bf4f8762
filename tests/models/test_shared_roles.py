"""One base, four roles: what each adapter starts from, and that none touches another."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rlhf.errors import ModelError
from rlhf.models.load import ModelOptions, load_tokenizer
from rlhf.models.reward_model import load_reward_model, new_reward_model
from rlhf.models.roles import Sequences
from rlhf.models.scoring import pad_sequences
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards.model import ModelReward
from tests.tiny import save_tiny, tiny_causal_lm

IDS = torch.tensor([[0, 0, 5, 6, 7, 8, 9, 2], [3, 4, 5, 6, 7, 8, 0, 0]])
MASK = IDS != 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base, an SFT adapter and a reward run with weights of their own."""
    folder = tmp_path_factory.mktemp("roles")
    base = save_tiny(folder / "base")
    torch.manual_seed(1)
    sft = get_peft_model(tiny_causal_lm(), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    sft.peft_config["default"].base_model_name_or_path = str(base)
    sft.save_pretrained(folder / "sft", save_embedding_layers=False)
    reward = new_reward_model(ModelOptions(model_name_or_path=str(base), adapter=str(folder / "sft")))
    with torch.no_grad():
        for parameter in reward.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    reward.save_pretrained(folder / "reward", save_embedding_layers=False)
    load_tokenizer(str(base)).save_pretrained(folder / "reward")
    return folder


def build(folders, **options):
    return SharedRoles.build(
        tiny_causal_lm(), sft_adapter=str(folders / "sft"), reward_adapters=[str(folders / "reward")], **options
    )


def sequences():
    return Sequences(IDS, MASK, prompt_width=4, trunk={})


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_policy_starts_as_the_reference(folders, layers):
    roles = build(folders, policy_layers=layers, value_layers=1)
    assert torch.equal(roles(sequences()).logprobs, roles.reference_logprobs(sequences()))


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_value_role_starts_as_the_reward_model(folders, layers):
    roles = build(folders, policy_layers=2, value_layers=layers)
    values = roles(sequences()).values
    scores = roles.reward_scores([(IDS, MASK)])[0]
    torch.testing.assert_close(values[0, -1], scores[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values[1, 2], scores[1], atol=1e-5, rtol=1e-5)


def test_the_reward_role_scores_as_the_reward_model_itself(folders):
    roles = build(folders, policy_layers=1)
    tokenizer = load_tokenizer(str(folders / "reward"), padding_side="right")
    reward = ModelReward(load_reward_model(str(folders / "reward")), tokenizer)
    prompts, completions = ["Film review:", "You are"], [" great", " a helpful assistant and more"]
    rows = [(list(reward.token_ids(*row)), []) for row in zip(prompts, completions, strict=True)]
    input_ids, mask, _ = pad_sequences(rows, tokenizer.pad_token_id)
    ours = roles.reward_scores([(input_ids, mask)])[0]
    torch.testing.assert_close(ours, torch.tensor(reward(prompts, completions)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("role", "others"), [("policy", ["values"]), ("value", ["logprobs"])])
def test_stepping_one_role_leaves_the_others_bit_identical(folders, role, others):
    roles = build(folders, policy_layers=2, value_layers=2)
    with torch.no_grad():
        before, reference = roles(sequences()), roles.reference_logprobs(sequences())
        scores = roles.reward_scores([(IDS, MASK)])[0]
        for parameter in roles.role_parameters()[role]:
            parameter.add_(0.1)
        after = roles(sequences())
        assert torch.equal(reference, roles.reference_logprobs(sequences()))
        assert torch.equal(scores, roles.reward_scores([(IDS, MASK)])[0])
    assert all(torch.equal(getattr(before, name), getattr(after, name)) for name in others)
    assert not torch.equal(before[0 if role == "policy" else 2], after[0 if role == "policy" else 2])


def test_each_roles_gradient_reaches_that_role_alone(folders):
    roles = build(folders, policy_layers=2, value_layers=1)
    parameters = roles.role_parameters()
    roles(sequences()).logprobs.sum().backward()
    assert all(p.grad is not None for p in parameters["policy"]) and all(p.grad is None for p in parameters["value"])
    roles.zero_grad()
    roles(sequences()).values.sum().backward()
    assert all(p.grad is None for p in parameters["policy"])
    assert all(p.grad is not None for p in parameters["value"])


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
