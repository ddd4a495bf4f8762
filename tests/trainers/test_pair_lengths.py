"""Pairs of similar length share a batch, in TRL's DPO too."""

from pathlib import Path

from trl import DPOConfig

from rlhf.data import Row, to_dataset
from rlhf.trainers.pair_lengths import LengthGroupedDPOTrainer
from tests.tiny import save_tiny, tiny_tokenizer


def test_dpo_batches_hold_pairs_of_similar_length(tmp_path: Path) -> None:
    rows = [
        Row({"prompt": "Film review:", "chosen": " good" * (1 + 10 * (i % 2)), "rejected": " dull"}) for i in range(40)
    ]
    trainer = LengthGroupedDPOTrainer(
        model=str(save_tiny(tmp_path / "base")),
        args=DPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            report_to="none",
            gradient_checkpointing=False,
            per_device_train_batch_size=2,
            train_sampling_strategy="group_by_length",
        ),
        train_dataset=to_dataset(rows, "preference"),
        processing_class=tiny_tokenizer(),
    )
    first = trainer.train_dataset[0]
    assert first["length"] == len(first["prompt_ids"]) + max(len(first["chosen_ids"]), len(first["rejected_ids"]))
    widths = [batch["input_ids"].shape[1] for batch in trainer.get_train_dataloader()]
    # 20 batches of 2: were the pairs drawn at random, about 15 of them would be as wide as the longer kind.
    assert len(widths) == 20 and sum(width == max(widths) for width in widths) <= 11
