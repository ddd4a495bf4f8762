"""Invariants 7 to 9: padding, micro-batches and clipping do to a gradient what they say, and nothing else."""

import pytest
import torch
from transformers import TrainerCallback

from rlhf.trainers.ppo import trainer as trainer_module
from rlhf.trainers.ppo.figures import finish_figures
from rlhf.trainers.ppo.rollout import Rollout, pad_generations
from tests.invariants.made import (
    FORMS,
    close,
    disturb,
    loss_and_gradients,
    padded,
    rows_of,
    trainer_of,
    unequal_answers,
    whole_batch,
)
from tests.trainers.ppo.setup import shared_roles

# --- 7. Extra padding changes no loss, no gradient and no metric -----------------------------------------------------


def prepared(folder, roles, **options):
    """A trainer whose policy has moved since its rollout, which has answers of 1 to 8 tokens."""
    trainer = trainer_of(folder, roles, **options)
    disturb(trainer.roles.role_parameters()["policy"])
    unequal_answers(trainer)
    rollout = trainer.roll_out(rows_of(trainer))
    for group in trainer.roles.role_parameters().values():
        disturb(group, by=0.05, seed=1)
    return trainer, rollout


def widened(rollout: Rollout, left: int, right: int) -> Rollout:
    names = ("logprobs", "values", "advantages", "returns")
    parts = {name: torch.nn.functional.pad(getattr(rollout, name), (0, right), value=77.0) for name in names}
    return Rollout(padded(rollout.sequences, left, right), **parts)


@pytest.mark.parametrize("roles", FORMS)
def test_padding_changes_no_loss_no_gradient_and_no_metric_of_a_minibatch(tmp_path, roles):
    trainer, rollout = prepared(tmp_path, roles())
    outcomes = []
    for one in (rollout, widened(rollout, left=5, right=0), widened(rollout, left=3, right=4)):
        trainer.meter._sums.clear()
        loss, gradients = loss_and_gradients(trainer, [whole_batch(one)])
        outcomes.append((loss, gradients, finish_figures(trainer.meter.means(lambda total: total))))
    loss, gradients, figures = outcomes[0]
    assert figures["policy/clipfrac_avg"] > 0 and figures["val/ratio_var"] > 0
    for other_loss, other_gradients, other_figures in outcomes[1:]:
        torch.testing.assert_close(other_loss, loss, atol=1e-6, rtol=1e-5)
        close(other_gradients, gradients)
        assert other_figures == pytest.approx(figures, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("roles", FORMS)
def test_padding_changes_no_figure_of_a_rollout(tmp_path, roles, monkeypatch):
    outcomes = []
    for name, extra in (("plain", (0, 0)), ("padded", (5, 4))):

        def with_padding(generations, pad_token_id, device, extra=extra):
            return padded(pad_generations(generations, pad_token_id, device), *extra)

        monkeypatch.setattr(trainer_module, "pad_generations", with_padding)
        trainer, rollout = prepared(tmp_path / name, roles(), kl_coef=0.3, whiten_rewards=True)
        figures = trainer.meter.means(lambda total: total)
        outcomes.append((rollout, {key: x for key, x in figures.items() if not key.startswith("time/")}))
    (plain, figures), (wide, other_figures) = outcomes
    assert wide.sequences.input_ids.shape[1] == plain.sequences.input_ids.shape[1] + 9
    assert figures["objective/kl"] != 0
    assert other_figures == pytest.approx(figures, rel=1e-4, abs=1e-5)
    for name in ("logprobs", "values", "advantages", "returns"):
        ours, expected = getattr(wide, name), getattr(plain, name)
        torch.testing.assert_close(ours[:, : expected.shape[1]], expected, atol=1e-4, rtol=1e-4)
        assert (ours[:, expected.shape[1] :] == 0).all()


# --- 8. k micro-batches equal one batch; optimizer steps are epochs x minibatches ------------------------------------


@pytest.mark.parametrize("roles", FORMS)
@pytest.mark.parametrize("count", [2, 4, 8])
def test_micro_batches_of_unequal_lengths_have_the_loss_and_gradient_of_one_batch(tmp_path, roles, count):
    trainer, rollout = prepared(tmp_path, roles())
    assert len(set(rollout.sequences.response_mask.sum(-1).tolist())) == 7
    trainer.args.num_mini_batches = 1
    trainer.args.gradient_accumulation_steps = count
    batches = list(trainer._epochs_over(rollout))[:count]
    assert [len(batch.rollout) for batch in batches] == [8 // count] * count
    loss, gradients = loss_and_gradients(trainer, batches)
    whole_loss, whole_gradients = loss_and_gradients(trainer, [whole_batch(rollout)])
    torch.testing.assert_close(loss, whole_loss, atol=1e-6, rtol=1e-5)
    close(gradients, whole_gradients)


def test_the_loss_is_a_mean_over_tokens_not_over_rows(tmp_path):
    trainer, rollout = prepared(tmp_path, shared_roles())
    mask = rollout.sequences.response_mask
    assert mask.sum() == 3 + 8 + 1 + 5 + 8 + 2 + 7 + 4
    with torch.no_grad():
        now = trainer.roles(rollout.sequences)
    ratio, value = (now.logprobs - rollout.logprobs).exp(), now.values[:, :-1]
    clipped = rollout.values + (value - rollout.values).clamp(-0.2, 0.2)
    errors = torch.maximum((value - rollout.returns) ** 2, (clipped - rollout.returns) ** 2)
    gains = torch.minimum(ratio * rollout.advantages, ratio.clamp(0.8, 1.2) * rollout.advantages)
    expected = ((-gains + 0.1 * 0.5 * errors) * mask).sum() / 38
    loss, _ = loss_and_gradients(trainer, [whole_batch(rollout)])
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-5)


def test_every_row_is_used_once_in_each_epoch_and_dealt_anew_in_the_next(tmp_path):
    trainer = trainer_of(tmp_path, shared_roles(), num_ppo_epochs=3)
    rollout = trainer.roll_out(rows_of(trainer))
    rollout.returns[:] = torch.arange(8.0)[:, None]
    seen = [batch.rollout.returns[:, 0].tolist() for batch in trainer._epochs_over(rollout)]
    epochs = [seen[:4], seen[4:8], seen[8:]]
    assert all(sorted(sum(epoch, [])) == list(range(8)) for epoch in epochs)
    minibatches = {tuple(sorted(epoch[0] + epoch[1])) for epoch in epochs}
    assert len(minibatches) > 1


class StepsTaken(TrainerCallback):
    """Counts what the optimizer does, and keeps each step's gradient norms as it meets them."""

    def __init__(self):
        self.roles, self.norms, self.logs = None, [], []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        groups = self.roles.role_parameters().items()
        self.norms.append({role: torch.cat([p.grad.flatten() for p in ps]).norm().item() for role, ps in groups})

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "grad_norm" in logs:
            self.logs.append(dict(logs))


def run(folder, roles, **options):
    steps = StepsTaken()
    trainer = trainer_of(folder, roles, callbacks=[steps], **options)
    steps.roles = trainer.roles
    trainer.train()
    return trainer, steps


@pytest.mark.parametrize("roles", FORMS)
def test_optimizer_steps_are_epochs_times_minibatches_of_each_rollout(tmp_path, roles):
    options = {"num_ppo_epochs": 3, "num_mini_batches": 2, "gradient_accumulation_steps": 2, "total_episodes": 16}
    trainer, steps = run(tmp_path, roles(), **options)
    assert len(steps.norms) == trainer.state.global_step == 3 * 2 * 2
    assert trainer.episodes == 16


# --- 9. Gradient clipping clips, role by role; the logged norm is the true one ---------------------------------------


@pytest.mark.parametrize("roles", FORMS)
def test_clipping_clips_each_role_to_its_own_norm_and_logs_the_norm_before(tmp_path, roles):
    one_step = {"num_ppo_epochs": 1, "num_mini_batches": 1, "total_episodes": 4}
    _, free = run(tmp_path / "free", roles(), max_grad_norm=1e9, **one_step)
    (true,) = free.norms
    limit = 0.5 * min(true.values())
    _, held = run(tmp_path / "held", roles(), max_grad_norm=limit, **one_step)
    (clipped,) = held.norms
    for role in ("policy", "value"):
        assert clipped[role] == pytest.approx(limit, rel=1e-3)
        for logs in (free.logs[0], held.logs[0]):
            assert logs[f"grad_norm/{role}"] == pytest.approx(true[role], rel=1e-4)
    for logs in (free.logs[0], held.logs[0]):
        assert logs["grad_norm"] == pytest.approx((true["policy"] ** 2 + true["value"] ** 2) ** 0.5, rel=1e-4)


def test_a_large_gradient_of_one_role_takes_nothing_from_the_other(tmp_path):
    one_step = {"num_ppo_epochs": 1, "num_mini_batches": 1, "total_episodes": 4}
    _, free = run(tmp_path / "free", shared_roles(), max_grad_norm=1e9, vf_coef=1000.0, **one_step)
    (true,) = free.norms
    limit = 2 * true["policy"]
    assert true["value"] > limit
    _, held = run(tmp_path / "held", shared_roles(), max_grad_norm=limit, vf_coef=1000.0, **one_step)
    (clipped,) = held.norms
    assert clipped["policy"] == pytest.approx(true["policy"], rel=1e-4)
    assert clipped["value"] == pytest.approx(limit, rel=1e-3)
