"""A summary of a data set as tables for the terminal, and what to do with it next."""

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from rlhf.data.schema import Kind
from rlhf.data.summary import Summary, agreement_histogram, spread

BAR = 24
NEXT: dict[Kind, str] = {
    "sft": "accelerate launch recipes/sft.py --dataset_name {source} …",
    "preference": "accelerate launch recipes/reward.py --dataset_name {source} …   (or recipes/dpo.py)",
    "prompts": "accelerate launch recipes/ppo.py --dataset_name {source} …",
    "tie": "Ties enter agreement and evaluation; a pairwise loss leaves them out.",
    "text": "recipes/evaluate.py measures forgetting on it.",
}


def summary_tables(source: str, summary: Summary) -> list[Table | Text]:
    """The tables, and a warning below them for each thing that looks suspicious."""
    parts: list[Table | Text] = [_overview(source, summary)]
    if summary.characters:
        parts.append(_lengths(summary))
    if summary.agreement:
        parts.append(_agreement(summary))
    parts += [Text.assemble(("! ", "bold yellow"), warning) for warning in warnings(summary)]
    return parts


def next_step(source: str, summary: Summary) -> Text:
    """What to do with a data set that is sound."""
    if summary.mixed:
        return Text.assemble(
            ("✓ ", "bold green"), f"Every row of {source} is sound. Next: put each shape in its own file."
        )
    lines = [Text.assemble(("✓ ", "bold green"), f"{source} is sound. Next:")]
    lines.append(Text(f"  rlhf data show {source} --model_name_or_path MODEL   (the tokens that are trained)"))
    lines += [Text(f"  {NEXT[kind].format(source=source)}") for kind in NEXT if summary.kinds[kind]]
    return Text("\n").join(lines)


def warnings(summary: Summary) -> list[str]:
    """What isn't wrong but looks as if it weren't meant."""
    found = []
    if summary.spaced_prompts:
        found.append(
            f"Prompts that end in a space: {summary.spaced_prompts:,}. It belongs to the answer, so move it there."
        )
    if summary.repeated:
        found.append(f"Rows that repeat the texts of an earlier one: {summary.repeated:,}.")
    if summary.mixed:
        found.append("Rows of different shapes: a trainer takes one at a time, so put them in separate files.")
    if summary.kinds["preference"] and not summary.agreement and not summary.margins:
        found.append("No margin and no agreement: every comparison will weigh the same.")
    below = sum(value < 0.5 for value in summary.agreement)
    if below:
        found.append(f"Comparisons with an agreement below 0.5: {below:,}. Most raters prefer the rejected one there.")
    found += [f"Column {name!r} is unknown: did you mean {near!r}?" for name, near in summary.misspelt.items()]
    return found


def _overview(source: str, summary: Summary) -> Table:
    table = Table(title=source, title_justify="left", show_header=False, box=box.SIMPLE)
    table.add_row("rows", f"{summary.rows:,}")
    if summary.bad_rows:
        table.add_row("bad rows", Text(f"{summary.bad_rows:,}", style="bold red"))
    table.add_row("kinds", _counts(summary.kinds))
    table.add_row("read as", _counts(summary.formats))
    table.add_row("shapes", "\n".join(f"{count:,} {shape}" for (_, shape), count in summary.shapes.most_common()))
    if summary.verdicts:
        table.add_row("ties", _counts(summary.verdicts))
    table.add_row("groups", f"{len(summary.groups):,}  (a split keeps each on one side)")
    if summary.margins:
        mean = sum(summary.margins) / len(summary.margins)
        table.add_row("margin", f"mean {mean:.2f}, {min(summary.margins):.2f} to {max(summary.margins):.2f}")
    if summary.other_columns:
        table.add_row("other columns", _counts(summary.other_columns))
    return table


def _lengths(summary: Summary) -> Table:
    table = Table(title="characters", title_justify="left", box=box.SIMPLE)
    for name in ("", "rows", "median", "95 %", "longest"):
        table.add_column(name, justify="left" if not name else "right")
    for name, values in summary.characters.items():
        table.add_row(name, f"{len(values):,}", *(f"{value:,}" for value in spread(values)))
    return table


def _agreement(summary: Summary) -> Table:
    table = Table(title="agreement", title_justify="left", show_header=False, box=box.SIMPLE)
    bins = agreement_histogram(summary.agreement)
    largest = max(count for _, count in bins)
    for label, count in bins:
        table.add_row(label, Text("█" * round(BAR * count / largest), style="cyan"), f"{count:,}")
    return table


def _counts(counter: Counter[str] | Counter[Kind]) -> str:
    pairs: Iterable[tuple[str, int]] = counter.most_common()
    return ", ".join(f"{count:,} {name}" for name, count in pairs) or "none"
