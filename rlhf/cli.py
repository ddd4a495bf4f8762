"""The `rlhf` command: looking at data before it is trained on, and at what a model answers.

    rlhf data validate FILE            is it sound, and what does it hold?
    rlhf data convert IN OUT           any format that is read, to the contract's
    rlhf data show FILE                the rows; with --model_name_or_path, as the model sees them
    rlhf sample --model M --prompt P   what a model answers (rlhf/cli_sample.py)
    rlhf selfcheck --model MODEL       does PPO work on this model? (rlhf/cli_selfcheck.py)

An error that the user can mend is shown on one screen, with exit code 2.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

import rlhf
from rlhf.cli_sample import sample
from rlhf.cli_selfcheck import selfcheck
from rlhf.data import KINDS, Kind, Problem, Row, read_rows
from rlhf.data.readers import raise_problems
from rlhf.data.schema import detect_kind
from rlhf.data.summary import Summary
from rlhf.data.summary_view import next_step, summary_tables
from rlhf.data.write import write_rows
from rlhf.errors import ConfigError, DataError, exit_on_error

app = typer.Typer(name="rlhf", help="Learning from human feedback.", no_args_is_help=True, add_completion=False)
data = typer.Typer(help="Check, convert and look at data sets.", no_args_is_help=True)
app.add_typer(data, name="data")
app.command()(sample)
app.command()(selfcheck)

Source = Annotated[str, typer.Argument(metavar="FILE", help="A file, a folder, or a data set on the hub.")]
KindOption = Annotated[str | None, typer.Option("--kind", help=f"What the rows are: {', '.join(KINDS)}.")]
SplitOption = Annotated[str, typer.Option("--split", help="The split of a folder or a hub data set.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command."""
    with exit_on_error():
        app(args=list(arguments) if arguments is not None else None)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context, show: Annotated[bool, typer.Option("--version", help="Show the version.")] = False
) -> None:
    """Learning from human feedback, from instruction data to a policy that people prefer."""
    if show:
        print(f"rlhf {rlhf.__version__}")
        raise typer.Exit()


@data.command()
def validate(source: Source, kind: KindOption = None, split: SplitOption = "train") -> None:
    """Check every row against the contract, and say what the data set holds."""
    wanted = _kind(kind)
    summary = Summary()
    for item in read_rows(source, wanted, split=split, on_format=summary.add_format):
        summary.add(item)
    if summary.rows == 0:
        raise DataError(f"{source} has no rows.", remedy="Check the file, and see docs/data.md for the formats.")
    console = Console()
    console.print(*summary_tables(source, summary), sep="\n")
    raise_problems(source, summary.problems)
    console.print(next_step(source, summary), soft_wrap=True)


@data.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A file, a folder, or a data set on the hub.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl, .json, .csv or .parquet file.")],
    kind: KindOption = None,
    split: SplitOption = "train",
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out, and list them.")] = False,
) -> None:
    """Write the rows of a data set in the contract's form."""
    wanted = _kind(kind)
    problems: list[Problem] = []
    written: Counter[str] = Counter()
    formats = Summary()

    def good_rows() -> Iterator[dict[str, Any]]:
        for item in read_rows(source, wanted, split=split, on_format=formats.add_format):
            if isinstance(item, Row):
                written[detect_kind(item) or "other"] += 1
                yield item
            else:
                problems.extend(item)
        if not skip_bad:
            raise_problems(source, problems)
        if not written:
            raise DataError(f"{source} has no good rows, so nothing is written.", remedy="See docs/data.md.")

    count = write_rows(target, good_rows(), overwrite=force)
    kinds = ", ".join(f"{number:,} {name}" for name, number in written.most_common())
    read = ", ".join(name for name, _ in formats.formats.most_common()) or "labels"
    console = Console()
    console.print(f"Wrote {count:,} rows ({kinds}) to [bold]{target}[/bold], read as {read}.", soft_wrap=True)
    _say_skipped(console, problems)


@data.command()
def show(
    source: Source,
    model: Annotated[
        str | None,
        typer.Option("--model_name_or_path", "--model", help="Show the tokens of this model, trained ones bright."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many rows.")] = 3,
    kind: KindOption = None,
    split: SplitOption = "train",
) -> None:
    """Show rows as they stand, or as a model sees them: untrained tokens dim, special tokens visible."""
    from rlhf.data.render import render_row, render_tokens

    rows = list(islice(read_rows(source, _kind(kind), split=split), limit))
    if not rows:
        raise DataError(f"{source} has no rows.", remedy="Check the file, and see docs/data.md for the formats.")
    tokenizer = _tokenizer(model) if model else None
    console = Console()
    for row in rows:
        if not isinstance(row, Row):
            raise_problems(source, row)
            continue
        row_kind = detect_kind(row) or "text"
        console.print(Text(f"── {row.place} ({row_kind})", style="bold"), soft_wrap=True)
        console.print(render_tokens(tokenizer, row, row_kind) if tokenizer else render_row(row))


def _kind(name: str | None) -> Kind | None:
    for kind in KINDS:
        if kind == name:
            return kind
    if name is not None:
        raise ConfigError(f"--kind {name}: there is no such kind.", remedy=f"Use one of {', '.join(KINDS)}.")
    return None


def _tokenizer(model: str) -> Any:
    from rlhf.models.load import load_tokenizer

    return load_tokenizer(model)


def _say_skipped(console: Console, problems: list[Problem]) -> None:
    if not problems:
        return
    count = len({problem.place for problem in problems})
    console.print(f"[yellow]Left out {count:,} bad rows:[/yellow]")
    for problem in problems[:20]:
        console.print(f"  - {problem}", markup=False, highlight=False)
    if len(problems) > 20:
        console.print(f"  … and {len(problems) - 20:,} more findings")
