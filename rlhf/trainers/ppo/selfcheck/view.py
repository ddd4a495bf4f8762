"""The results as a person reads them: one table, and under it what failed, why, and what to do."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rlhf.trainers.ppo.selfcheck.evidence import CheckResult, Outcome

STYLES: dict[Outcome, str] = {"passed": "green", "failed": "bold red", "not applicable": "dim", "not run": "yellow"}


def show_results(console: Console, subject: str, results: Sequence[CheckResult]) -> None:
    """Print the table, the failures and the count."""
    console.print(results_table(subject, results))
    for result in results:
        if result.outcome == "failed":
            console.print(failure(result))
    console.print(summary(results))


def results_table(subject: str, results: Sequence[CheckResult]) -> Table:
    """A row for each check, with its numbers and what they may be."""
    table = Table(title=Text(f"PPO on {subject}"), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("what was seen")
    for result in results:
        seen = "; ".join(map(str, result.measured)) or result.note or "see below"
        table.add_row(result.name, Text(result.outcome, STYLES[result.outcome]), Text(seen))
    return table


def failure(result: CheckResult) -> RenderableType:
    """What does not hold, why, and the remedy."""
    lines: list[Text | Padding] = [
        Text(f"\n{result.name}: {result.statement}", STYLES["failed"]),
        Padding(Text(result.reason), (0, 0, 0, 2)),
    ]
    if result.remedy:
        lines.append(Padding(Text(f"Remedy: {result.remedy}"), (0, 0, 0, 2)))
    return Group(*lines)


def summary(results: Sequence[CheckResult]) -> Text:
    """One line: how many checks ended in which way, and the time they took."""
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome}" for outcome in STYLES if counts[outcome]]
    seconds = sum(result.seconds for result in results)
    return Text(f"\n{', '.join(parts)} in {seconds:.0f} s.")
