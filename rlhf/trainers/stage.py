"""What the recipes on TRL's trainers share: training inside a run, resuming, and saving the result."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from transformers import (
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from rlhf.data import Kind
from rlhf.data.lengths import measure_lengths
from rlhf.errors import ConfigError, TrainingError
from rlhf.models.load import context_length
from rlhf.runs import Run, read_metrics
from rlhf.trainers.callbacks import watch
from rlhf.trainers.options import TrainingRows

CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")
# Without any of these the Trainer resumes all the same, with a fresh optimizer, schedule or random state.
CHECKPOINT_PARTS = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state*.pth")


class StopOnNaN(TrainerCallback):
    """Ends the run when the loss or the gradient is no finite number any more, before a checkpoint of it is kept."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        bad = [name for name in ("loss", "grad_norm") if not math.isfinite((logs or {}).get(name, 0.0))]
        if bad:
            raise TrainingError(
                f"{' and '.join(bad)} became NaN or infinite at step {state.global_step}.",
                remedy="Lower learning_rate, or train in float32; checkpoints written before are kept.",
            )


def say_lengths(
    tokenizer: Any,
    rows: TrainingRows,
    kind: Kind,
    base: str,
    max_length: int | None,
    outcome: Literal["cut", "dropped"],
) -> None:
    """Refuse prompts that leave no room for an answer, and say how many rows the trainer will cut or drop.

    Raises:
        DataError: a prompt is longer than `max_length` or the model's context; names the lines.
    """
    limits = [limit for limit in (max_length, context_length(base)) if limit is not None]
    for part in (rows.train, rows.evaluation or []):
        lengths = measure_lengths(tokenizer, part, kind)
        if limits:
            lengths.require_prompts_fit(min(limits))
        warning = lengths.warning(max_length, outcome)
        if warning:
            PartialState().print(f"Warning: {warning}")


def require_room(tokenizer: Any, rows: TrainingRows, base: str, response_length: int) -> None:
    """Refuse prompts that leave no room for a response of full length in the model's context.

    Raises:
        DataError: names the lines.
    """
    context = context_length(base)
    for part in (rows.train, rows.evaluation or []):
        if context is not None:
            measure_lengths(tokenizer, part, "prompts").require_prompts_fit(context, reserve=response_length)


def run_training(trainer: Any, run: Run, shown: Mapping[str, str]) -> None:
    """Train, log into the run, and record there when it fails.

    Args:
        trainer: a `transformers.Trainer`, whose `args.resume_from_checkpoint` is honoured.
        run: the run directory, which is the trainer's `output_dir`.
        shown: the metrics of the progress line, from their names to their labels.
    """
    checkpoint = checkpoint_to_resume(trainer.args)
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        run.cut_back(state.global_step)
    watch(trainer, run, dict(shown))
    trainer.add_callback(StopOnNaN())
    with failures_recorded(run):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


@contextmanager
def failures_recorded(run: Run) -> Iterator[None]:
    """Write into the manifest why the run ended, if the block ends by an exception."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        run.fail(f"{type(error).__name__}: {error}")
        raise


def checkpoint_to_resume(args: TrainingArguments) -> Path | None:
    """The checkpoint that `resume_from_checkpoint` names: "true" for the newest in `output_dir`, or a folder.

    Raises:
        ConfigError: it isn't there, or isn't whole.
    """
    wanted = str(args.resume_from_checkpoint or "false")
    if wanted.lower() == "false":
        return None
    if wanted.lower() != "true":
        missing = _missing_parts(Path(wanted))
        if missing:
            raise ConfigError(
                f"{wanted} is not a whole checkpoint.",
                problems=[f"no {part}" for part in missing],
                remedy='Name another, or "true" for the newest whole one.',
            )
        return Path(wanted)
    checkpoint = last_checkpoint(Path(str(args.output_dir)))
    if checkpoint is None:
        raise ConfigError(
            f"{args.output_dir} has no whole checkpoint to resume from.",
            remedy="Leave resume_from_checkpoint out to start afresh; save_steps says how often one is written.",
        )
    return checkpoint


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest whole checkpoint: one that a kill cut short is passed over."""
    found = [path for path in output_dir.glob("checkpoint-*") if CHECKPOINT.match(path.name)]
    whole = [path for path in found if not _missing_parts(path)]
    return max(whole, key=lambda path: int(path.name.split("-")[-1]), default=None)


def save_model(trainer: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Save what was trained and the tokenizer into the run directory; of several adapters only the trained one."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if "ref" in getattr(model, "peft_config", {}):
        if trainer.args.should_save:
            model.save_pretrained(trainer.args.output_dir, selected_adapters=["default"])
    else:
        trainer.save_model()
    if trainer.args.should_save:
        tokenizer.save_pretrained(trainer.args.output_dir)
    trainer.accelerator.wait_for_everyone()


def final_metrics(run: Run, names: Mapping[str, str]) -> dict[str, float]:
    """The last logged value of each metric, under the name it has in a summary."""
    rows = read_metrics(run.dir)
    last = {name: row[name] for row in rows for name in names if name in row}
    return {label: last[name] for name, label in names.items() if name in last}


def _missing_parts(checkpoint: Path) -> list[str]:
    return [part for part in CHECKPOINT_PARTS if not any(checkpoint.glob(part))]
