"""Trainer callbacks that every recipe uses."""

from typing import Any

from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlhf.runs import Run


class RunCallback(TrainerCallback):
    """Writes each log of the Trainer to the run's `metrics.jsonl`, without figures that had nothing to be taken of."""

    def __init__(self, run: Run):
        self.run = run

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and logs:
            self.run.log({"step": state.global_step, **known(logs)})


class ProgressLine(ProgressCallback):
    """The Trainer's progress bar with its time left, and one short line for a log instead of a raw dictionary."""

    def __init__(self, shown: dict[str, str]):
        """
        Args:
            shown: the metrics to show, from their names in the log to their labels.
        """
        super().__init__()
        self.shown = shown

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or self.training_bar is None or not logs:
            return
        logs = known(logs)
        parts = [f"{label} {float(logs[name]):.4g}" for name, label in self.shown.items() if name in logs]
        if parts:
            self.training_bar.write(f"step {state.global_step:>5}  " + "  ".join(parts))


def known(logs: dict[str, Any]) -> dict[str, Any]:
    """The figures of a log that have a value: TRL logs None where all were NaN."""
    return {name: value for name, value in logs.items() if value is not None}


def watch(trainer: Any, run: Run, shown: dict[str, str]) -> None:
    """Put the run's metrics file and the short progress line onto a Trainer."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(ProgressLine(shown))
    trainer.add_callback(RunCallback(run))
