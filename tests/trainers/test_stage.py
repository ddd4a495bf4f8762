"""What the recipes share: which checkpoint is resumed, and when a run is stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from rlhf.data.rows import Row
from rlhf.errors import ConfigError, DataError, TrainingError
from rlhf.runs import Run, read_metrics
from rlhf.trainers.options import DataOptions, TrainingRows
from rlhf.trainers.stage import StopOnNaN, checkpoint_to_resume, final_metrics, last_checkpoint, say_lengths
from tests.tiny import save_tiny, tiny_tokenizer

# At step 2 in training and at the end; at step 3 without its evaluation.
SAMPLES = [(2, 0, "é\u2028"), (2, 1, "first"), (2, 0, "again"), (2, 1, "again"), (3, 0, "lost")]
PARTS = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def write_checkpoint(folder: Path, step: int, parts: tuple[str, ...] = PARTS) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    for part in parts:
        (checkpoint / part).touch()
    return checkpoint


def arguments(folder: Path, resume: str | None) -> TrainingArguments:
    return TrainingArguments(output_dir=str(folder), resume_from_checkpoint=resume, use_cpu=True)


def test_the_newest_whole_checkpoint_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, 90)
    newest = write_checkpoint(tmp_path, 100)
    write_checkpoint(tmp_path, 200, PARTS[:2])
    assert last_checkpoint(tmp_path) == newest
    assert checkpoint_to_resume(arguments(tmp_path, "true")) == newest
    assert checkpoint_to_resume(arguments(tmp_path, str(tmp_path / "checkpoint-90"))) == tmp_path / "checkpoint-90"
    assert checkpoint_to_resume(arguments(tmp_path, None)) is None


def test_what_can_t_be_resumed_is_said(tmp_path: Path) -> None:
    cut = write_checkpoint(tmp_path, 5, PARTS[:3])
    with pytest.raises(ConfigError, match=r"not a whole checkpoint.\n  - no rng_state"):
        checkpoint_to_resume(arguments(tmp_path, str(cut)))
    with pytest.raises(ConfigError, match="no whole checkpoint to resume"):
        checkpoint_to_resume(arguments(tmp_path, "true"))


@pytest.mark.parametrize("logs", [{"loss": float("nan")}, {"loss": 1.0, "grad_norm": float("inf")}])
def test_a_nan_stops_the_run(tmp_path: Path, logs: dict[str, Any]) -> None:
    state, control = TrainerState(global_step=7), TrainerControl()
    StopOnNaN().on_log(arguments(tmp_path, None), state, control, logs={"loss": 1.0, "grad_norm": 2.0})
    with pytest.raises(TrainingError, match="NaN or infinite at step 7"):
        StopOnNaN().on_log(arguments(tmp_path, None), state, control, logs=logs)


def test_metrics_are_cut_back_and_summed_up(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "ppo", [], seed=0)
    for step in range(1, 5):
        run.log({"step": step, "loss": 1 / step})
    run.log({"step": 4, "train_loss": 0.5})
    assert final_metrics(run, {"loss": "last_loss", "train_loss": "mean"}) == {"last_loss": 0.25, "mean": 0.5}
    run.cut_back(2)
    assert [row["step"] for row in read_metrics(run.dir)] == [1, 2]
    assert final_metrics(run, {"loss": "last_loss", "eval_loss": "eval_loss"}) == {"last_loss": 0.5}


def test_samples_stay_whose_evaluation_stays(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "ppo", [], seed=0)
    evaluation = {"eval_objective/scores": 1.0}
    for row in ({"step": 2, "loss": 1.0}, {"step": 2} | evaluation, {"step": 2, "train_loss": 1.0}):
        run.log(row)
    run.log({"step": 2} | evaluation)  # at the end of the run, once more
    written = (run.dir / "metrics.jsonl").read_text()
    (run.dir / "metrics.jsonl").write_text(written + '{"step": 2, "cut o')
    rows = [{"step": step, "number": number, "text": text} for step, number, text in SAMPLES]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # A kill may cut a line off within a letter.
    (run.dir / "samples.jsonl").write_bytes(lines.encode() + '{"step": 2, "text": "é'.encode()[:-1])
    run.cut_back(2)
    assert read_metrics(run.dir) == [{"step": 2, "loss": 1.0}, {"step": 2} | evaluation]
    kept = [json.loads(line) for line in (run.dir / "samples.jsonl").read_text().split("\n") if line]
    assert [(row["number"], row["text"]) for row in kept] == [(0, "é\u2028"), (1, "first")]
    run.cut_back(1)
    assert (run.dir / "samples.jsonl").read_text() == "" == (run.dir / "metrics.jsonl").read_text()


def test_long_rows_are_counted_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(save_tiny(tmp_path / "base"))
    rows = [Row({"prompt": "one", "completion": " two"}), Row({"prompt": "one", "completion": " two" * 30})]
    say_lengths(tiny_tokenizer(), TrainingRows(rows, None, [], []), "sft", base, 20, "cut")
    assert "1 of 2 rows (50.0%) are longer than max_length=20 and will be cut" in capsys.readouterr().out
    with pytest.raises(DataError, match="longer than the 1 tokens"):
        say_lengths(tiny_tokenizer(), TrainingRows([], rows, [], []), "sft", base, 2, "cut")


def test_data_options_read_both_parts(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": "p", "completion": f" {i}"}) + "\n" for i in range(5)))
    rows = DataOptions(str(file), eval_dataset_name=str(file), max_train_samples=3, max_eval_samples=2).load("sft")
    assert (len(rows.train), len(rows.evaluation or []), rows.files) == (3, 2, [file, file])
