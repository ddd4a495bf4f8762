"""recipes/sft.py from its options to a run directory that plain PEFT loads."""

from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from recipes.sft import main
from rlhf.data import to_dataset
from rlhf.data.rows import Row
from rlhf.models.load import ModelOptions, load_causal_lm, load_tokenizer
from rlhf.runs import read_metrics
from tests.recipes.conftest import manifest, short

IDS = torch.tensor([[5, 6, 7, 8]])


def test_the_run_directory_is_whole(sft_run: Path, data: Path, base: str) -> None:
    written = {path.relative_to(sft_run).as_posix() for path in sft_run.rglob("*")}
    assert {
        "config.yaml",
        "metrics.jsonl",
        "manifest.json",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "plots/loss.png",
        "checkpoint-4",
    } <= written
    assert "model.safetensors" not in written  # only the adapter
    record = manifest(sft_run)
    assert (record["status"], record["recipe"], record["base_model"]["name"]) == ("finished", "sft", base)
    assert record["data"][0]["path"] == str(data / "sft.jsonl")
    assert set(record["summary"]) == {"train_loss", "eval_loss", "eval_token_accuracy"}


def test_training_lowers_the_loss_and_plain_peft_loads_the_adapter(sft_run: Path, base: str) -> None:
    losses = [row["loss"] for row in read_metrics(sft_run) if "loss" in row]
    assert len(losses) == 4 and losses[-1] < losses[0]
    tuned = AutoPeftModelForCausalLM.from_pretrained(sft_run, dtype=torch.float32)
    assert not torch.allclose(tuned(IDS).logits, AutoModelForCausalLM.from_pretrained(base)(IDS).logits)


@pytest.mark.parametrize(("tuning", "counted"), [("full", "40,672 of 40,672"), ("qlora", "24,576 of 65,248")])
def test_every_tuning_by_one_option(
    base: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tuning: str, counted: str
) -> None:
    files = ["--model_name_or_path", base, "--dataset_name", str(data / "sft.jsonl"), "--output_dir", str(tmp_path)]
    main([*files, *short(1, tuning=tuning)])
    assert f"trainable parameters: {counted}" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").exists() == (tuning == "full")
    assert (tmp_path / "adapter_model.safetensors").exists() == (tuning == "qlora")


def test_a_run_goes_on_from_its_last_whole_checkpoint(base: str, data: Path, tmp_path: Path) -> None:
    files = ["--model_name_or_path", base, "--dataset_name", str(data / "sft.jsonl"), "--output_dir", str(tmp_path)]
    main([*files, *short(4, save_steps=2)])
    first = manifest(tmp_path)["run_id"]
    (tmp_path / "checkpoint-4" / "optimizer.pt").unlink()
    main([*files, *short(4, save_steps=2, resume_from_checkpoint="true")])
    steps = [row["step"] for row in read_metrics(tmp_path) if "loss" in row]
    assert steps == [1, 2, 3, 4] and manifest(tmp_path)["resumed_from"] == [first]


def test_the_saved_configuration_repeats_the_run(sft_run: Path, tmp_path: Path) -> None:
    main(["--config", str(sft_run / "config.yaml"), "--output_dir", str(tmp_path / "again")])
    losses = [[row["loss"] for row in read_metrics(run) if "loss" in row] for run in (tmp_path / "again", sft_run)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_packed_documents_do_not_see_each_other(base: str, tmp_path: Path) -> None:
    rows = [
        Row({"prompt": "Film review:", "completion": text}) for text in (" a great film", " dull", " one two three")
    ]
    losses = []
    for packing in (True, False):
        args = SFTConfig(
            output_dir=str(tmp_path),
            packing=packing,
            max_length=64,
            per_device_train_batch_size=3,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
        )
        model = load_causal_lm(ModelOptions(base))
        trainer = SFTTrainer(
            model=model, args=args, train_dataset=to_dataset(rows, "sft"), processing_class=load_tokenizer(base)
        )
        batch = next(iter(trainer.get_train_dataloader()))
        assert len(batch["input_ids"]) == (1 if packing else 3)
        losses.append(trainer.compute_loss(model, batch).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
