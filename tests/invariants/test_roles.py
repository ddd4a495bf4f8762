"""Invariant 11: a step of one role leaves the others as they are, and so does an exception."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rlhf.errors import TrainingError
from rlhf.models.adapters import active_adapter, merged_adapter
from rlhf.models.roles import Roles, Sequences
from rlhf.models.shared_roles import SharedRoles
from tests.invariants.made import disturb, rows_of, trainer_of
from tests.models.saved import save_stages
from tests.tiny import tiny_causal_lm
from tests.trainers.ppo.setup import separate_roles, weights_of

IDS = torch.tensor([[0, 0, 5, 6, 7, 8, 9, 2], [3, 4, 5, 6, 7, 8, 0, 0]])
SEQUENCES = Sequences(IDS, IDS != 0, prompt_width=4, trunk={})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_stages(tmp_path_factory.mktemp("roles"))


def four_roles(folders) -> SharedRoles:
    return SharedRoles.build(
        tiny_causal_lm(),
        sft_adapter=str(folders / "sft"),
        reward_adapters=[str(folders / "reward")],
        policy_layers=2,
        value_layers=2,
    )


def whole_models(folders):
    return separate_roles()


FORMS = [four_roles, whole_models]


@torch.no_grad()
def what_roles_say(roles: Roles) -> dict[str, torch.Tensor]:
    output = roles(SEQUENCES)
    said = {"policy": output.logprobs, "value": output.values, "reference": roles.reference_logprobs(SEQUENCES)}
    if isinstance(roles, SharedRoles):
        said["reward"] = roles.reward_scores([(IDS, IDS != 0)]).scores
    return said


# --- 11. A step on one role leaves the others bit-identical ----------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ["policy", "value"])
def test_new_weights_of_one_role_change_that_role_alone(folders, form, role):
    roles = form(folders)
    before = what_roles_say(roles)
    disturb(roles.role_parameters()[role], by=0.1)
    after = what_roles_say(roles)
    for name, said in before.items():
        assert torch.equal(said, after[name]) == (name != role), name


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_one_role_reaches_that_role_alone(folders, form):
    roles = form(folders)
    parameters = roles.role_parameters()
    roles(SEQUENCES).logprobs.sum().backward()
    assert all(p.grad is not None for p in parameters["policy"]) and none_reaches(parameters["value"])
    assert not none_reaches(parameters["policy"])
    roles.zero_grad()
    roles(SEQUENCES).values.sum().backward()
    assert all(p.grad is not None for p in parameters["value"]) and none_reaches(parameters["policy"])
    assert not none_reaches(parameters["value"])


def none_reaches(parameters):
    """Whether there are no gradients, or zeros to the bit, as from a pass that the roles made together."""
    return all(parameter.grad is None or not parameter.grad.any() for parameter in parameters)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("trained", ["policy", "value"])
def test_optimizer_steps_change_the_trained_role_and_nothing_else_to_the_bit(tmp_path, folders, form, trained):
    roles = form(folders)
    rates = {"policy": {"learning_rate": 1e-2, "value_learning_rate": 0.0}}
    rates["value"] = {"learning_rate": 0.0, "value_learning_rate": 1e-2}
    trainer = trainer_of(tmp_path, roles, weight_decay=0.1, total_episodes=8, **rates[trained])
    trainer._rollouts_made = 1  # the value head is not shifted to the scores
    names = {id(parameter): name for name, parameter in roles.named_parameters()}
    before = {name: parameter.detach().clone() for name, parameter in roles.named_parameters()}
    trainer.train()
    changed = {name for name, parameter in roles.named_parameters() if not torch.equal(before[name], parameter)}
    assert changed and changed <= {names[id(p)] for p in roles.role_parameters()[trained]}


# --- 11. The active adapter is restored after an exception -----------------------------------------------------------


class OutOfMemory(RuntimeError):
    """Stands for whatever may end a forward."""


def test_the_adapter_that_answered_before_a_failure_answers_after_it():
    model = get_peft_model(tiny_causal_lm(), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    model.add_adapter("second", LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    model.eval()
    with torch.no_grad():
        before = model(IDS).logits
        for switch in (active_adapter(model, "second"), active_adapter(model, None), merged_adapter(model, "second")):
            with pytest.raises(OutOfMemory), switch:
                assert not torch.equal(model(IDS).logits, before)
                raise OutOfMemory
            assert torch.equal(model(IDS).logits, before)


def fail(*args, **kwargs):
    raise OutOfMemory


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", ["forward", "reference_logprobs", "values", "sampling"])
def test_a_failure_in_a_forward_leaves_every_role_as_it_was(folders, form, call):
    roles = form(folders)
    before, trainable = what_roles_say(roles), [p.requires_grad for p in roles.parameters()]
    last_layers = [module for name, module in roles.named_modules() if name.endswith("layers.2.mlp")]
    hooks = [layer.register_forward_hook(fail) for layer in last_layers]
    with pytest.raises(OutOfMemory):
        if call == "sampling":
            with roles.sampling() as policy:
                policy(IDS)
        else:
            getattr(roles, call)(SEQUENCES)
    for hook in hooks:
        hook.remove()
    after = what_roles_say(roles)
    assert all(torch.equal(said, after[name]) for name, said in before.items())
    assert [p.requires_grad for p in roles.parameters()] == trainable


def broken(prompts, completions, **columns):
    raise KeyError("no such column")


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_in_a_rollout_leaves_every_role_as_it_was(tmp_path, folders, form):
    roles = form(folders)
    trainer = trainer_of(tmp_path, roles, broken)
    before, weights = what_roles_say(roles), weights_of(roles.parameters())
    with pytest.raises(TrainingError, match="broken raised KeyError"):
        trainer.roll_out(rows_of(trainer))
    after = what_roles_say(roles)
    assert all(torch.equal(said, after[name]) for name, said in before.items())
    assert all(torch.equal(one, other) for one, other in zip(weights, roles.parameters(), strict=True))
