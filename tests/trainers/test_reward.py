"""The reward trainer: its loss by hand, shared responses run once, and what is dropped is said."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from rlhf.data import to_dataset
from rlhf.data.rows import Row
from rlhf.errors import DataError, TrainingError
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.trainers.reward import (
    PreferenceCollator,
    PreferenceRewardConfig,
    PreferenceRewardTrainer,
    preference_loss,
    prove_reload,
)
from tests.tiny import save_tiny, tiny_classifier, tiny_tokenizer

OPTIONS: dict[str, Any] = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "report_to": "none"}
ROWS = [
    Row({"prompt": "Film review:", "chosen": " great", "rejected": " awful, one two three"}),
    Row({"prompt": "Film review:", "chosen": " great", "rejected": " dull"}),
    Row({"prompt": "Film review:", "chosen": " dull", "rejected": " awful, one two three"}),
]


def build(folder: Path, rows: list[Row], model: Any = None, **options: Any) -> PreferenceRewardTrainer:
    args = PreferenceRewardConfig(output_dir=str(folder), **(OPTIONS | options))
    return PreferenceRewardTrainer(
        model=model or tiny_classifier(),
        args=args,
        train_dataset=to_dataset(rows, "preference"),
        processing_class=tiny_tokenizer(),
    )


def loss_of(trainer: PreferenceRewardTrainer) -> torch.Tensor:
    batch = trainer.data_collator(list(trainer.train_dataset))
    return trainer.compute_loss(trainer.model, batch)


def tensors(*values: float) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([value]) for value in values)


# --- the loss, by hand -----------------------------------------------------------------------------------------------


def test_label_smoothing_is_the_cross_entropy_to_the_raters() -> None:
    chosen, rejected, margin, agreement = tensors(1.0, 0.0, 0.0, 0.75)
    p = 1 / (1 + math.exp(-1.0))
    expected = -(0.75 * math.log(p) + 0.25 * math.log(1 - p))
    assert preference_loss(chosen, rejected, margin, agreement, "label_smoothing").item() == pytest.approx(expected)


def test_label_smoothing_is_least_at_the_logit_of_the_agreement_beyond_the_margin() -> None:
    lead = torch.tensor([math.log(3) + 0.5], requires_grad=True)  # logit(0.75) = ln 3
    rejected, margin, agreement = tensors(0.0, 0.5, 0.75)
    preference_loss(lead, rejected, margin, agreement, "label_smoothing").backward()
    assert lead.grad is not None and abs(lead.grad.item()) < 1e-6


@pytest.mark.parametrize(("agreement", "weight"), [(1.0, 1.0), (0.75, 0.5), (0.5, 0.0), (0.2, 0.0)])
def test_a_weight_is_the_majority_s_lead(agreement: float, weight: float) -> None:
    plain = preference_loss(*tensors(1.0, 0.0, 0.0, 1.0), "ignore").item()
    weighted = preference_loss(*tensors(1.0, 0.0, 0.0, agreement), "weight").item()
    assert weighted == pytest.approx(weight * plain)


# --- the trainer -----------------------------------------------------------------------------------------------------


def zeroed() -> torch.nn.Module:
    model = tiny_classifier()
    torch.nn.init.zeros_(model.score.weight)
    return model


def test_margin_and_agreement_reach_the_loss(tmp_path: Path) -> None:
    rows = [Row(ROWS[0] | {"margin": 0.5, "agreement": 0.8}), ROWS[1]]
    trainer = build(tmp_path, rows, zeroed(), margin_scale=3.0)
    first = 0.8 * math.log(1 + math.exp(1.5)) + 0.2 * math.log(1 + math.exp(-1.5))
    assert loss_of(trainer).item() == pytest.approx((first + math.log(2)) / 2)
    trainer.args.margin_scale, trainer.args.agreement_mode = 0.0, "ignore"
    assert loss_of(trainer).item() == pytest.approx(math.log(2))


def test_margin_and_agreement_survive_the_trainer_s_own_column_filter(tmp_path: Path) -> None:
    trainer = build(tmp_path, [Row(ROWS[0] | {"margin": 0.5, "agreement": 0.8, "source": "people"})])
    batch = next(iter(trainer.get_train_dataloader()))
    assert (batch["margin"].item(), batch["agreement"].item()) == (0.5, pytest.approx(0.8))


def test_shared_responses_are_run_once_and_the_loss_and_gradient_are_trl_s(tmp_path: Path) -> None:
    ours = build(tmp_path, ROWS, agreement_mode="ignore")
    args = RewardConfig(output_dir=str(tmp_path), **OPTIONS)
    trl = RewardTrainer(
        model=tiny_classifier(),
        args=args,
        train_dataset=to_dataset(ROWS, "preference"),
        processing_class=tiny_tokenizer(),
    )
    batch = ours.data_collator(list(ours.train_dataset))
    plain = DataCollatorForPreference(0)(list(trl.train_dataset))
    assert (len(batch["input_ids"]), len(plain["input_ids"])) == (3, 6)
    losses = [t.compute_loss(t.model, b) for t, b in ((ours, batch), (trl, plain))]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[0], losses[1])
    for one, other in zip(ours.model.parameters(), trl.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_the_collator_points_each_pair_to_its_rows() -> None:
    examples = [{"chosen_ids": [5, 6], "rejected_ids": [7]}, {"chosen_ids": [7], "rejected_ids": [8], "margin": None}]
    batch = PreferenceCollator(0)(examples)
    assert batch["input_ids"].tolist() == [[5, 6], [7, 0], [8, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0], [1, 0]]
    assert batch["sequence"].tolist() == [0, 1, 1, 2]
    assert (batch["margin"].tolist(), batch["agreement"].tolist()) == ([0, 0], [1, 1])


def test_rows_over_max_length_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = Row({"prompt": "Film review:", "chosen": " one" * 30, "rejected": " two"})
    assert len(build(tmp_path, [*ROWS, long], max_length=30).train_dataset) == 3
    assert "1 of 4 rows are over max_length=30 and left out" in caplog.text
    with pytest.raises(DataError, match="All 1 rows of the train data are longer than max_length=3"):
        build(tmp_path, [long], max_length=3)


def test_a_negative_margin_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="margin_scale"):
        PreferenceRewardConfig(output_dir=str(tmp_path), margin_scale=-1.0, **OPTIONS)


def test_a_pair_is_learned_and_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "max_steps": 8,
        "save_steps": 5,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
    }
    whole = build(tmp_path / "whole", ROWS, **options)
    before = loss_of(whole).item()
    whole.train()
    assert loss_of(whole).item() < before / 2
    resumed = build(tmp_path / "resumed", ROWS, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-5"))
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_reload_that_scores_differently_is_an_error(tmp_path: Path) -> None:
    options = ModelOptions(str(save_tiny(tmp_path / "base")))
    model, tokenizer = new_reward_model(options), tiny_tokenizer()
    model.config.pad_token_id = 0
    model.save_pretrained(tmp_path / "run")
    prove_reload(tmp_path / "run", options, model, tokenizer, ROWS)
    with torch.no_grad():
        model.base_model.model.score.modules_to_save["default"].weight += 1.0
    with pytest.raises(TrainingError, match="scores differently"):
        prove_reload(tmp_path / "run", options, model, tokenizer, ROWS)
