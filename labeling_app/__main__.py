"""The command line: `python -m labeling_app serve`, and what a lead does without a browser.

Whoever may run it has the database anyway, so it asks for no password; what it does is in the audit log, under no name.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from labeling_app import commands
from labeling_app.accounts import forget as forgetting
from labeling_app.accounts import invitations, people
from labeling_app.export import ExportOptions, export_labels
from labeling_app.lead import figures, imports, projects
from labeling_app.settings import Mode, ProjectSettings
from labeling_app.store import Database
from labeling_app.store.tables import ItemKind, Role
from rlhf.errors import exit_on_error

DEFAULT_DATABASE = "labels.db"

app = typer.Typer(
    name="labeling_app", help="People compare responses in a browser.", no_args_is_help=True, add_completion=False
)
users = typer.Typer(help="Who may come in.", no_args_is_help=True)
project = typer.Typer(help="What is asked.", no_args_is_help=True)
app.add_typer(users, name="users")
app.add_typer(project, name="project")
console = Console(highlight=False, soft_wrap=True)

Url = Annotated[
    str, typer.Option("--db", envvar="LABELING_DB", help="A SQLite file, or postgresql+psycopg://user@host/name.")
]
Name = Annotated[str, typer.Argument(help="Their name.")]
ProjectName = Annotated[str, typer.Option("--project", help="The project's name.")]
Address = Annotated[str, typer.Option("--address", help="Where browsers reach the server, for the link.")]
LOCAL = "http://127.0.0.1:7860"


@app.command()
def serve(
    db: Url = DEFAULT_DATABASE,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for all addresses.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A host name by which browsers reach it, beside --host."),
    ] = None,
    https: Annotated[bool, typer.Option(help="Browsers reach it by HTTPS, through a proxy.")] = False,
    demo: Annotated[bool, typer.Option(help="Make a project of real film reviews, if there is none.")] = False,
) -> None:
    """Start the app. In a fresh folder it makes the database, and prints a link for the first lead."""
    commands.require_free(host, port)
    database = commands.opened(db)
    commands.first_lead(database, commands.address_of(host, port, name or [], https), console)
    if demo:
        commands.demo_project(database, console)
    commands.run(database, host=host, port=port, names=tuple(name or ()), https=https, console=console)


@app.command()
def init(db: Url = DEFAULT_DATABASE, address: Address = LOCAL) -> None:
    """Make the database and the first lead, and print a one-time link for them."""
    if not commands.first_lead(commands.opened(db), address, console):
        console.print("There is a lead already. `users invite NAME` prints a new link.")


@users.command("add")
def add_user(
    name: Name,
    db: Url = DEFAULT_DATABASE,
    lead: Annotated[bool, typer.Option("--lead", help="A lead, who makes projects and sees everything.")] = False,
    address: Address = LOCAL,
) -> None:
    """Add somebody, and print a one-time link by which they set a password."""
    database = commands.opened(db)
    people.create_person(database, None, name, Role.lead if lead else Role.annotator)
    _print_link(database, name, address)


@users.command()
def invite(name: Name, db: Url = DEFAULT_DATABASE, address: Address = LOCAL) -> None:
    """Print a new one-time link for somebody who is there, such as after a lost password."""
    _print_link(commands.opened(db), name, address)


@users.command("role")
def change_role(name: Name, role: Annotated[Role, typer.Argument()], db: Url = DEFAULT_DATABASE) -> None:
    """Make somebody a lead, or an annotator again."""
    database = commands.opened(db)
    people.change_role(database, None, people.find_person(database, None, name), role)
    console.print(f"{name} is {'a lead' if role is Role.lead else 'an annotator'}.")


@users.command()
def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Shown to them.")],
    db: Url = DEFAULT_DATABASE,
    withhold: Annotated[bool, typer.Option(help="Leave their labels out of exports.")] = False,
) -> None:
    """Let somebody work no longer."""
    database = commands.opened(db)
    people.pause(database, None, people.find_person(database, None, name), reason, withhold=withhold)
    console.print(f"{name} is paused." + (" Their labels are left out of exports." if withhold else ""))


@users.command()
def resume(name: Name, db: Url = DEFAULT_DATABASE) -> None:
    """Let somebody work again."""
    database = commands.opened(db)
    people.resume(database, None, people.find_person(database, None, name))
    console.print(f"{name} may work again.")


@users.command()
def forget(name: Name, db: Url = DEFAULT_DATABASE, yes: Annotated[bool, typer.Option("--yes")] = False) -> None:
    """Replace somebody's name and texts by tombstones, for ever; their choices stay."""
    database = commands.opened(db)
    person = people.find_person(database, None, name)
    if not yes:
        typer.confirm(f"Forget {name}? This can't be undone.", abort=True)
    forgetting.forget(database, None, person)
    console.print("Forgotten. Earlier backups and exports still hold what they held.")


@users.command("list")
def list_users(db: Url = DEFAULT_DATABASE) -> None:
    """Everybody, with what they have answered."""
    table = Table("name", "role", "answers", "state")
    for line in people.list_people(commands.opened(db), None):
        state = f"paused: {line.paused_reason}" if line.paused_reason else "" if line.has_password else "invited"
        table.add_row(line.name, line.role.value, f"{line.answered:,}", state)
    console.print(table)


@project.command()
def create(
    name: Annotated[str, typer.Argument(help="The project's name.")],
    guidelines: Annotated[Path, typer.Option(help="Their text, in Markdown.", exists=True, dir_okay=False)],
    db: Url = DEFAULT_DATABASE,
    mode: Annotated[str, typer.Option(help="comparison or ranking.")] = "comparison",
    overlap: Annotated[int, typer.Option(help="People who judge each item.")] = 1,
    settings: Annotated[
        Path | None,
        typer.Option(help="All settings as YAML; the keys of labeling_app/settings.py.", exists=True),
    ] = None,
) -> None:
    """Begin a project."""
    chosen = commands.settings_from(settings) if settings else ProjectSettings(overlap=overlap)
    text = guidelines.read_text(encoding="utf-8")
    checked: Mode = "ranking" if mode == "ranking" else "comparison"
    if checked != mode:
        raise typer.BadParameter(f"{mode!r} is neither comparison nor ranking.", param_hint="--mode")
    projects.create_project(commands.opened(db), None, name, checked, chosen, text)
    console.print(f"Next: python -m labeling_app import FILE --project '{name}'")


@project.command("list")
def list_projects(db: Url = DEFAULT_DATABASE) -> None:
    """All projects."""
    table = Table("project", "mode", "items", "gold", "qualification", "judgements wanted", "state")
    for line in projects.list_projects(commands.opened(db), None):
        counts = (f"{count:,}" for count in (line.work, line.gold, line.qualification, line.slots_total))
        table.add_row(line.name, line.mode, *counts, "closed" if line.closed_at else "open")
    console.print(table)


@project.command()
def close(name: Annotated[str, typer.Argument()], db: Url = DEFAULT_DATABASE) -> None:
    """Hand out nothing more of a project; what was said is kept."""
    database = commands.opened(db)
    projects.close(database, None, projects.project_named(database, None, name))
    console.print(f"{name} is closed; `project reopen` opens it again.")


@project.command()
def reopen(name: Annotated[str, typer.Argument()], db: Url = DEFAULT_DATABASE) -> None:
    """Open a closed project again."""
    database = commands.opened(db)
    projects.reopen(database, None, projects.project_named(database, None, name))
    console.print(f"{name} is open.")


@app.command("import")
def import_file(
    file: Annotated[str, typer.Argument(help="Prompts with responses, in any format that docs/data.md names.")],
    project: ProjectName,
    db: Url = DEFAULT_DATABASE,
    kind: Annotated[ItemKind, typer.Option(help="Work, or checks with an expected answer.")] = ItemKind.work,
    skip_bad: Annotated[bool, typer.Option(help="Leave bad rows out, and list them.")] = False,
) -> None:
    """Add items to a project; a file that is imported again adds nothing."""
    database = commands.opened(db)
    number = projects.project_named(database, None, project)
    report = imports.import_items(database, None, number, file, kind=kind, skip_bad=skip_bad)
    console.print(f"{report.added:,} items added, {report.known:,} were there already.")
    if report.judged:
        console.print(f"{report.judged:,} rows also hold what people said of them; that is not imported.")
    for problem in report.problems:
        console.print(f"left out: {problem}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    project: ProjectName,
    db: Url = DEFAULT_DATABASE,
    aggregation: Annotated[str, typer.Option(help="majority or dawid_skene.")] = "majority",
    late: Annotated[bool, typer.Option(help="Count late judgements too.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier export.")] = False,
) -> None:
    """Write a project's labels as training data: `recipes/reward.py --dataset_name OUT/preferences.jsonl`."""
    database = commands.opened(db)
    options = ExportOptions.model_validate({"aggregation": aggregation, "include_late": late, "overwrite": overwrite})
    report = export_labels(database, None, projects.project_named(database, None, project), out, options)
    for name, rows in report.rows.items():
        console.print(f"{rows:>9,}  {out / name}")
    for reason, count in report.left_out.items():
        console.print(f"{count:>9,}  left out: {reason}")


@app.command()
def stats(project: ProjectName, db: Url = DEFAULT_DATABASE) -> None:
    """Progress and agreement of a project, and of each annotator."""
    database = commands.opened(db)
    commands.print_figures(figures.dashboard(database, None, projects.project_named(database, None, project)), console)


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The copy.")], db: Url = DEFAULT_DATABASE) -> None:
    """Copy the database while it is in use."""
    commands.backup(commands.opened(db), file)
    console.print(f"Backed up to {file}.")


def _print_link(database: Database, name: str, address: str) -> None:
    token = invitations.invite(database, None, people.find_person(database, None, name))
    console.print(f"A one-time link for {name}, valid for a week:\n  {address}/invitation/{token}")


def main() -> None:
    """The entry point."""
    with exit_on_error():
        app()


if __name__ == "__main__":
    main()
