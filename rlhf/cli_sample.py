"""`rlhf sample`: let a model answer prompts, and keep the best of several answers.

rlhf sample --model RUN --prompt "Film review: The plot" --prompt "Film review: A"
rlhf sample --model RUN --prompts FILE --best_of 8 --reward_model RUN --output best.jsonl
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from rlhf.best_of_n import BestOfN, best_of_n, check_best_of_n
from rlhf.data import Place, Row, load_rows
from rlhf.data.messages import text_problem
from rlhf.data.readers import raise_problems
from rlhf.data.render import render_row
from rlhf.data.validate import check_row, trailing_space
from rlhf.data.write import write_rows
from rlhf.errors import ConfigError
from rlhf.rewards import load_reward

logger = logging.getLogger(__name__)
Dtype = Literal["auto", "bfloat16", "float16", "float32"]


def sample(
    model: Annotated[
        str | None,
        typer.Option("--model_name_or_path", "--model", help="A model folder, a hub id, or a run with an adapter."),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="A folder with an adapter. Its base model need not be given.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A prompt; may be given several times.")
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", metavar="FILE", help="Prompts: a file, a folder, or a data set on the hub."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="The split of a folder or a hub data set.")] = "train",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Answer only the first so many.")] = None,
    chat: Annotated[bool, typer.Option("--chat", help="--prompt is what a user says, not text to go on with.")] = False,
    best_of: Annotated[int, typer.Option("--best_of", metavar="N", help="Draw N responses, keep the best.")] = 1,
    reward_model: Annotated[
        str | None,
        typer.Option("--reward_model", help="What scores: a reward model, `lexicon`, or package.module:function."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option("--max_new_tokens", min=1, help="Longest response.")] = 64,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 takes the likeliest tokens.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 42,
    batch_size: Annotated[int, typer.Option("--batch_size", min=1, help="Responses drawn at a time.")] = 32,
    load_in_4bit: Annotated[bool, typer.Option("--load_in_4bit", help="Quantize the answering model.")] = False,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Precision of the models.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="OUT", help="Write rows here: .jsonl, .json, .csv or .parquet.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Answer prompts; with --best_of, keep of several responses to each the one that a reward scores highest."""
    check_best_of_n(best_of, temperature, reward_model is not None)
    rows = _rows(prompt or [], prompts, chat, split)[:limit]
    answers = _answers(
        rows,
        {"model_name_or_path": model, "adapter": adapter, "dtype": dtype, "load_in_4bit": load_in_4bit},
        reward_model,
        best_of,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
    )
    if output is None:
        _show(rows, answers)
    else:
        _write(output, rows, answers, overwrite=force)


def _rows(given: Sequence[str], source: str | None, chat: bool, split: str) -> list[Row]:
    """The prompts, from the command line or from a source.

    Raises:
        ConfigError: neither was given, or both.
        DataError: a prompt is empty, or the source can't be read.
    """
    if bool(given) == (source is not None):
        raise ConfigError(
            "Prompts were given twice." if given else "No prompt was given.",
            remedy="Give either --prompt TEXT, once or several times, or --prompts FILE.",
        )
    if source is not None:
        return load_rows(source, "prompts", split=split)
    prompts = [[{"role": "user", "content": text}] if chat else text for text in given]
    checked = [
        check_row({"prompt": one}, "prompts", Place("--prompt", i, "number")) for i, one in enumerate(prompts, 1)
    ]
    raise_problems("--prompt", [problem for one in checked if not isinstance(one, Row) for problem in one])
    rows = [one for one in checked if isinstance(one, Row)]
    if any(map(trailing_space, rows)):
        logger.warning("A prompt ends in a space, which belongs to the answer: leave it out, or words come out odd.")
    return rows


def _answers(
    rows: Sequence[Row], model: dict[str, Any], reward_model: str | None, best_of: int, **sampling: Any
) -> Iterator[BestOfN]:
    """Load the models, and let them draw and choose.

    Nothing is loaded before the first answer is asked for, and so not before the output was checked.
    """
    import rlhf.trainers.quiet  # noqa: F401  # isort: skip
    from rlhf.evaluation.policies import Policies
    from rlhf.models.load import ModelOptions, load_tokenizer

    options = ModelOptions(**model)
    location = options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base)
    reward = load_reward(reward_model, dtype=model["dtype"]) if reward_model else None
    names = {name for row in rows for name in row} - {"prompt"}
    with Policies(options, {"model": location.adapter}).use("model") as policy:
        found = best_of_n(
            policy,
            tokenizer,
            [row["prompt"] for row in rows],
            reward,
            best_of,
            columns={name: [row.get(name) for row in rows] for name in names},
            progress=True,
            **sampling,
        )
    yield from found


def _show(rows: Sequence[Row], answers: Iterator[BestOfN]) -> None:
    console = Console()
    for row, answer in zip(rows, answers, strict=True):
        scores = [score for score in answer.scores if score is not None]
        title = f"── {row.place}" if answer.score is None else f"── {row.place}, score {answer.score:.3f}"
        if len(answer.scores) > 1:
            title += f", the best of {len(answer.scores)} (the lowest {min(scores):.3f})"
        console.print(Text(title, style="bold"), soft_wrap=True)
        console.print(render_row({"prompt": row["prompt"], "completion": answer.completion}))
        if not answer.generation.finished:
            console.print(Text(f"… cut off after {len(answer.generation.response_ids):,} tokens", style="dim"))


def _write(output: Path, rows: Sequence[Row], answers: Iterator[BestOfN], *, overwrite: bool) -> None:
    """Write prompts and completions. The contract has no place for an empty one: they are left out and counted."""
    empty = 0

    def written() -> Iterator[dict[str, Any]]:
        nonlocal empty
        for row, answer in zip(rows, answers, strict=True):
            if text_problem(answer.completion):
                empty += 1
            else:
                yield _as_row(row, answer)

    count = write_rows(output, written(), overwrite=overwrite)
    console = Console()
    console.print(f"Wrote {count:,} rows to [bold]{escape(str(output))}[/bold].", soft_wrap=True)
    if empty:
        console.print(f"[yellow]Left out {empty:,} empty responses.[/yellow]")


def _as_row(row: Row, answer: BestOfN) -> dict[str, Any]:
    """The prompt's row with its completion, how it ended, and what it scored."""
    fields = {"prompt": row["prompt"], "completion": answer.completion, **row, "finished": answer.generation.finished}
    if answer.scores:
        fields["score"] = answer.score
    if len(answer.scores) > 1:
        fields["scores"] = answer.scores
    return fields
