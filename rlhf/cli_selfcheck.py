"""`rlhf selfcheck`: whether PPO computes on this model what it should, before days are spent on it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

FAILED = 1


def selfcheck(
    model_name_or_path: Annotated[
        str | None,
        typer.Option("--model_name_or_path", "--model", help="Model folder or hub id. An adapter names its own."),
    ] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", help="The adapter that PPO is to start from.")] = None,
    reward_model: Annotated[
        str | None, typer.Option("--reward_model", "--reward_model_path", help="A reward run or classifier.")
    ] = None,
    dtype: Annotated[
        Literal["auto", "bfloat16", "float16", "float32"], typer.Option("--dtype", help="Precision of the base.")
    ] = "auto",
    tuning: Annotated[
        Literal["lora", "full", "qlora"], typer.Option("--tuning", help="What PPO is to train.")
    ] = "lora",
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Also see whether the policy learns, which takes some minutes more.")
    ] = False,
) -> None:
    """Check PPO's invariants on a model of your own. Exit code 1 if one does not hold."""
    import rlhf.trainers.quiet  # noqa: F401  # isort: skip
    from rlhf.models.load import ModelOptions
    from rlhf.trainers.ppo.selfcheck.registry import CHECKS, LEARNING
    from rlhf.trainers.ppo.selfcheck.run import run_check
    from rlhf.trainers.ppo.selfcheck.subject import Subject
    from rlhf.trainers.ppo.selfcheck.view import show_results

    options = ModelOptions(model_name_or_path, dtype=dtype, tuning=tuning, adapter=adapter)
    checks = [*CHECKS, LEARNING] if thorough else CHECKS
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with TemporaryDirectory(prefix="rlhf-selfcheck-") as folder:
        subject = Subject.load(options, reward_model, Path(folder))
        results = []
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(checks))
            for check in checks:
                progress.update(task, description=check.name)
                results.append(run_check(subject, check))
                progress.advance(task)
    show_results(console, str(adapter or model_name_or_path), results)
    if any(result.outcome == "failed" for result in results):
        raise typer.Exit(FAILED)
