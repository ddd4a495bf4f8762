"""Checkpoints that are whole or not there."""

import os
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from rlhf.errors import TrainingError

STAGING_FOLDER = ".saving"
# What a full disk looks like to Python, to torch and to safetensors.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)


class SavesWholeCheckpoints(Trainer):
    """Writes each checkpoint aside, flushes it to the disk and then renames it.

    A kill or a full disk while one is written leaves the last good one as it was.
    """

    _staging: Path | None = None

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Take no step beyond the last: transformers takes one before it looks whether there is one left.

        So what is resumed where its training was over, because it was killed after that, comes to the same end.
        """
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run_dir = Path(super()._get_output_dir(trial))
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        staging = run_dir / STAGING_FOLDER
        if self.args.should_save:
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._staging = staging
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            self.state.best_model_checkpoint = _best_checkpoint(self.state, run_dir)
            if self.args.should_save:
                self.state.save_to_json(str(staging / name / TRAINER_STATE_NAME))
                _put_in_place(staging / name, run_dir / name)
        except WRITE_ERRORS as error:
            shutil.rmtree(staging, ignore_errors=True)
            raise TrainingError(
                f"The checkpoint of step {self.state.global_step} was not written: {error}. Earlier ones are kept.",
                remedy="make room where the disk is full, and go on with --resume_from_checkpoint true.",
            ) from error
        finally:
            self._staging = None
        if self.args.should_save:
            best, limit = self.state.best_model_checkpoint, self.args.save_total_limit
            rotate_checkpoints(str(run_dir), limit, best, use_mtime=True)
        self.accelerator.wait_for_everyone()


def _best_checkpoint(state: TrainerState, run_dir: Path) -> str | None:
    """The folder of the best checkpoint under its final name; the one that is being written counts."""
    if not state.best_global_step:
        return state.best_model_checkpoint
    best = run_dir / f"{PREFIX_CHECKPOINT_DIR}-{state.best_global_step}"
    is_there = state.best_global_step == state.global_step or best.exists()
    return str(best) if is_there else state.best_model_checkpoint


def _put_in_place(written: Path, final: Path) -> None:
    """Flush a folder to the disk and give it its name; one of the same step is replaced."""
    for path in [*written.rglob("*"), written]:
        _flush(path)
    if final.exists():
        shutil.rmtree(final)
    written.rename(final)
    written.parent.rmdir()
    _flush(final.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
