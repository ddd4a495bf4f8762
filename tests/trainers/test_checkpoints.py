"""A checkpoint is whole or not there: killed while writing, on a full disk, replaced, and the best one kept."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import TrainingArguments

from rlhf.errors import TrainingError
from rlhf.trainers.checkpoints import STAGING_FOLDER, SavesWholeCheckpoints
from rlhf.trainers.stage import last_checkpoint
from tests.tiny import tiny_causal_lm


def trainer(folder: Path, **options) -> SavesWholeCheckpoints:
    rows = [{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}] * 8
    defaults = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "per_device_train_batch_size": 1}
    return SavesWholeCheckpoints(
        tiny_causal_lm(),
        TrainingArguments(output_dir=str(folder), **(defaults | {"max_steps": 4, "save_steps": 1} | options)),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:2]),
    )


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("checkpoint-"))


def test_nothing_is_left_aside_and_old_ones_go(tmp_path):
    trainer(tmp_path, save_total_limit=2).train()
    assert checkpoints(tmp_path) == ["checkpoint-3", "checkpoint-4"]
    assert not (tmp_path / STAGING_FOLDER).exists()


def test_the_best_one_is_kept_under_its_own_name_and_loaded(tmp_path):
    run = trainer(
        tmp_path,
        save_total_limit=2,
        eval_strategy="steps",
        eval_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=True,  # the loss falls, so the first step is the best
        learning_rate=1e-2,
    )
    run.train()
    assert run.state.best_model_checkpoint == str(tmp_path / "checkpoint-1")
    assert checkpoints(tmp_path) == ["checkpoint-1", "checkpoint-4"]
    again = trainer(tmp_path, max_steps=5)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert again.state.best_model_checkpoint == str(tmp_path / "checkpoint-1")


def test_what_is_resumed_at_its_end_takes_no_further_step(tmp_path):
    whole = trainer(tmp_path)  # 4 of the 8 steps of an epoch
    whole.train()
    again = trainer(tmp_path)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert again.state.global_step == 4
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)
    longer = trainer(tmp_path, max_steps=6)
    longer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert longer.state.global_step == 6


def test_a_full_disk_keeps_the_last_one(tmp_path):
    run = trainer(tmp_path)
    run.train()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        run.state.global_step = 5
        with pytest.raises(TrainingError, match="step 5 was not written") as error:
            run._save_checkpoint(run.model, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "--resume_from_checkpoint true" in str(error.value)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    assert not (tmp_path / STAGING_FOLDER).exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.trainers.test_checkpoints import trainer

run = trainer(Path(sys.argv[1]))
save, written = torch.save, []

def killed_in_the_middle(value, file, *args, **kwargs):
    written.append(file)
    if len(written) > int(sys.argv[2]):
        Path(file).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save(value, file, *args, **kwargs)

torch.save = killed_in_the_middle
run.train()
"""


@pytest.mark.parametrize("files_before", [4, 5, 7])
def test_a_kill_while_writing_leaves_the_last_good_one(tmp_path, files_before):
    """Each checkpoint is four files of torch, from the options to the random state; one of the second is cut off."""
    code = [sys.executable, "-c", KILLED, str(tmp_path), str(files_before)]
    assert subprocess.run(code, check=False, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert checkpoints(tmp_path) == ["checkpoint-1"]
    resumed = trainer(tmp_path)
    resumed.train(resume_from_checkpoint=str(last_checkpoint(tmp_path)))
    whole = trainer(tmp_path / "whole")
    whole.train()
    for one, other in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert os.listdir(tmp_path / "checkpoint-4")
