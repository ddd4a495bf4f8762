"""Invariants 1 to 3: the policy of a rollout is the policy that is trained, and starts as its reference."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GenerationConfig, TrainerCallback

from rlhf.config import parse
from rlhf.errors import ConfigError
from rlhf.models.adapters import active_adapter
from rlhf.models.separate_roles import SeparateRoles
from rlhf.models.shared_roles import POLICY, SharedRoles
from rlhf.trainers.ppo.config import PPOConfig
from tests.invariants.made import FORMS, disturb, rows_of, trainer_of, unequal_answers
from tests.models.saved import save_stages
from tests.tiny import tiny_causal_lm
from tests.trainers.ppo.setup import shared_roles

# --- 1. Rollout log-probabilities equal a training forward's ---------------------------------------------------------

FLOAT32_TOLERANCE = 1e-5
# bfloat16 keeps 8 bits of a number. The logits of the tiny model reach 10, where two neighbours are 0.06 apart.
BFLOAT16_TOLERANCE = 0.1


def disturbed_trainer(folder, roles, **options):
    """Forwards of 8 sequences in the rollout, of 2 in training."""
    trainer = trainer_of(folder, roles, local_rollout_forward_batch_size=8, **options)
    disturb(trainer.roles.role_parameters()["policy"])
    return trainer


def differences_in_training(trainer, rollout):
    """Log-probabilities of training forwards, micro-batch by micro-batch, less those of the rollout."""
    found = []
    with torch.no_grad():
        for batch in trainer._epochs_over(rollout):
            mask = batch.rollout.sequences.response_mask
            found.append((trainer.roles(batch.rollout.sequences).logprobs - batch.rollout.logprobs)[mask])
    return torch.cat(found).abs()


@pytest.mark.parametrize("roles", FORMS)
def test_rollout_logprobs_are_those_of_a_training_forward_of_another_batch_size(tmp_path, roles):
    trainer = disturbed_trainer(tmp_path, roles())
    for _ in range(2):  # the policy is run over the first rollout; of later ones sampling gives the log-probabilities
        rollout = trainer.roll_out(rows_of(trainer))
        assert not rollout.sequences.attention_mask[:, 0].all(), "no row is padded on the left"
        assert differences_in_training(trainer, rollout).max() <= FLOAT32_TOLERANCE
    assert trainer._sampling_is_exact


@pytest.mark.parametrize("roles", FORMS)
def test_they_are_the_models_own_at_the_sampling_temperature_sequence_by_sequence(tmp_path, roles):
    trainer = disturbed_trainer(tmp_path, roles())
    answers = unequal_answers(trainer)
    rollout = trainer.roll_out(rows_of(trainer))
    model = trainer.roles.model if isinstance(trainer.roles, SharedRoles) else trainer.roles.policy
    for row, one in enumerate(answers):
        ids = torch.tensor([one.prompt_ids + one.response_ids])
        with torch.no_grad():
            logprobs = (model(ids).logits[0, len(one.prompt_ids) - 1 : -1] / 0.7).log_softmax(-1)
        expected = logprobs.gather(-1, torch.tensor(one.response_ids)[:, None]).squeeze(-1)
        ours = rollout.logprobs[row, : len(one.response_ids)]
        torch.testing.assert_close(ours, expected, atol=FLOAT32_TOLERANCE, rtol=0)
        torch.testing.assert_close(torch.tensor(one.logprobs), expected, atol=FLOAT32_TOLERANCE, rtol=0)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_size_of_the_rollouts_own_forwards_changes_nothing(tmp_path, layers):
    roles = shared_roles(policy_layers=1, value_layers=layers)
    trainer = disturbed_trainer(tmp_path, roles, whiten_advantages=False)
    unequal_answers(trainer)
    rollouts = []
    for size in (8, 3, 1):
        trainer.args.local_rollout_forward_batch_size = size
        trainer._rollouts_made = 0  # as in a first rollout, the policy is run over the answers
        rollouts.append(trainer.roll_out(rows_of(trainer)))
    mask = rollouts[0].sequences.attention_mask
    for rollout in rollouts[1:]:
        for name in ("logprobs", "values", "advantages", "returns"):
            ours, expected = getattr(rollout, name), getattr(rollouts[0], name)
            torch.testing.assert_close(ours, expected, atol=FLOAT32_TOLERANCE, rtol=1e-5)
        for role, states in rollout.sequences.trunk.items():
            expected = rollouts[0].sequences.trunk[role][mask]
            torch.testing.assert_close(states[mask], expected, atol=FLOAT32_TOLERANCE, rtol=1e-5)


def test_in_bfloat16_they_differ_by_rounding_only_and_are_not_taken_from_sampling(tmp_path):
    roles = SharedRoles.build(tiny_causal_lm().bfloat16(), new_adapter=LoraConfig(r=8, target_modules="all-linear"))
    trainer = disturbed_trainer(tmp_path, roles)
    for _ in range(2):
        rollout = trainer.roll_out(rows_of(trainer))
        assert differences_in_training(trainer, rollout).max() <= BFLOAT16_TOLERANCE
    assert not trainer._sampling_is_exact


@pytest.mark.parametrize("option", [("top_p", "0.9"), ("top_k", "50")])
def test_sampling_from_a_part_of_the_distribution_is_refused(tmp_path, option):
    name, value = option
    with pytest.raises(ConfigError, match=rf"{name} is {value}: it cuts the distribution off.*lower temperature"):
        parse(PPOConfig, argv=["--output_dir", str(tmp_path), "--use_cpu", "true", f"--{name}", value])


def test_other_ways_to_cut_it_are_no_options(tmp_path):
    with pytest.raises(ConfigError, match="--min_p: unknown option"):
        parse(PPOConfig, argv=["--output_dir", str(tmp_path), "--use_cpu", "true", "--min_p", "0.1"])


def test_sampling_settings_of_the_model_folder_cut_nothing_off(tmp_path):
    model = tiny_causal_lm()
    model.generation_config = GenerationConfig(top_k=1, top_p=0.1, temperature=0.1, do_sample=True, eos_token_id=2)
    roles = SharedRoles.build(model, new_adapter=LoraConfig(r=8, target_modules="all-linear"))
    rollouts = []
    for number, one in enumerate((roles, shared_roles())):
        trainer = trainer_of(tmp_path / str(number), one)
        rollouts.append(trainer.roll_out(rows_of(trainer)))
    assert torch.equal(rollouts[0].sequences.input_ids, rollouts[1].sequences.input_ids)


# --- 2. The first minibatch: ratio 1, nothing clipped, KL 0 ----------------------------------------------------------


class Logs(TrainerCallback):
    """Keeps the logs."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))

    @property
    def rollouts(self):
        return [log for log in self.logs if "val/ratio" in log]


def assert_it_is_the_policy_of_the_rollout(figures):
    assert figures["val/ratio"] == pytest.approx(1.0, abs=1e-5)
    assert figures["policy/clipfrac_avg"] == 0.0
    assert figures["policy/approxkl_avg"] == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("roles", FORMS)
def test_in_the_first_minibatch_the_ratio_is_1_and_nothing_is_clipped(tmp_path, roles):
    trainer = disturbed_trainer(tmp_path, roles())
    for _ in range(2):
        rollout = trainer.roll_out(rows_of(trainer))
        trainer.meter._sums.clear()
        for batch in list(trainer._epochs_over(rollout))[: trainer.args.gradient_accumulation_steps]:
            trainer.compute_loss(trainer.roles, batch)
        assert_it_is_the_policy_of_the_rollout(trainer.meter.means(lambda total: total))


@pytest.mark.parametrize("roles", FORMS)
def test_with_learning_rate_0_that_holds_for_all_epochs_and_otherwise_it_does_not(tmp_path, roles):
    for rate in (0.0, 1e-2):
        logs = Logs()
        trainer_of(tmp_path / str(rate), roles(), callbacks=[logs], learning_rate=rate).train()
        assert len(logs.rollouts) == 2
        for figures in logs.rollouts:
            if rate == 0.0:
                assert_it_is_the_policy_of_the_rollout(figures)
            else:
                assert figures["policy/approxkl_avg"] > 1e-5


# --- 3. The KL to the reference begins at 0 --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sft_adapter(tmp_path_factory):
    """An adapter that makes another model of the base."""
    return save_stages(tmp_path_factory.mktemp("stages")) / "sft"


def all_weights(sft_adapter):
    return SeparateRoles(tiny_causal_lm(), tiny_causal_lm(seed=1).base_model)


def fresh_adapter(sft_adapter):
    return shared_roles()


def fresh_adapter_on_a_model_of_its_own(sft_adapter):
    policy = get_peft_model(tiny_causal_lm(), LoraConfig(r=4, target_modules="all-linear"))
    return SeparateRoles(policy, tiny_causal_lm(seed=1).base_model)


def from_sft(sft_adapter):
    return SharedRoles.build(tiny_causal_lm(), sft_adapter=str(sft_adapter))


def from_sft_at_the_top(sft_adapter):
    return SharedRoles.build(tiny_causal_lm(), sft_adapter=str(sft_adapter), policy_layers=1)


@pytest.mark.parametrize(
    "roles", [all_weights, fresh_adapter, fresh_adapter_on_a_model_of_its_own, from_sft, from_sft_at_the_top]
)
def test_the_kl_to_the_reference_is_0_before_the_first_step_and_not_after_it(tmp_path, sft_adapter, roles):
    logs = Logs()
    trainer_of(tmp_path, roles(sft_adapter), callbacks=[logs], learning_rate=1e-2).train()
    assert logs.rollouts[0]["objective/kl"] == 0.0
    assert logs.rollouts[1]["objective/kl"] != 0.0


@torch.no_grad()
@pytest.mark.parametrize("roles", [from_sft, from_sft_at_the_top])
def test_the_reference_of_a_policy_that_starts_from_an_sft_adapter_is_that_adapter(tmp_path, sft_adapter, roles):
    trainer = trainer_of(tmp_path, roles(sft_adapter))
    disturb(trainer.roles.role_parameters()["policy"])
    (answer, *_) = unequal_answers(trainer)
    rollout = trainer.roll_out(rows_of(trainer))
    ours = trainer.roles.reference_logprobs(rollout.sequences)[0, : len(answer.response_ids)]
    sft = PeftModel.from_pretrained(tiny_causal_lm(), sft_adapter).eval()
    ids = torch.tensor([answer.prompt_ids + answer.response_ids])

    def logprobs():
        each = (sft(ids).logits[0, len(answer.prompt_ids) - 1 : -1] / 0.7).log_softmax(-1)
        return each.gather(-1, torch.tensor(answer.response_ids)[:, None]).squeeze(-1)

    torch.testing.assert_close(ours, logprobs(), atol=1e-5, rtol=0)
    with active_adapter(sft, None):
        assert (ours - logprobs()).abs().max() > 0.1
    with active_adapter(trainer.roles.model, POLICY):
        assert (ours - rollout.logprobs[0, : len(answer.response_ids)]).abs().max() > 1e-3
