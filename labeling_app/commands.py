"""What the command line's verbs do beyond one call of another package."""

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from labeling_app.accounts import invitations, people
from labeling_app.lead import imports, projects
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Project, Role, User
from rlhf.errors import ConfigError, DataError
from rlhf.stats.intervals import Interval

if TYPE_CHECKING:
    from labeling_app.lead.figures import Dashboard

DEMO_ITEMS = Path("assets/film_reviews/preference_test.jsonl")
DEMO_PROJECT = "Film reviews"
DEMO_GUIDELINES = """# Which review is more favourable?

You see two excerpts of film reviews. Say which one **speaks better of its film**, and how much better.

- Judge what is said, not how well it is written.
- If both say the same, or neither says anything of the film, press *equal*.
- If you can't tell, skip it and say why.
"""


def opened(url: str) -> Database:
    """The database, brought to this version's tables."""
    database = Database(url)
    if database.path is not None and not os.access(database.path.parent, os.W_OK):
        raise ConfigError(
            f"The folder {database.path.parent} can't be written to.", remedy="name another file by --db."
        )
    migrate(database)
    return database


def address_of(host: str, port: int, names: list[str], https: bool) -> str:
    """Where browsers reach the server."""
    if names:
        return f"{'https' if https else 'http'}://{names[0]}"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"


def first_lead(database: Database, address: str, console: Console) -> bool:
    """Where there is no lead with a password yet, make one, and print their link."""
    with database.read() as session:
        leads = session.scalars(select(User).where(User.role == Role.lead, User.forgotten_at.is_(None))).all()
    if any(lead.password_hash for lead in leads):
        return False
    lead = leads[0].id if leads else people.create_person(database, None, "lead", Role.lead)
    token = invitations.invite(database, None, lead)
    console.print(f"The first lead sets a password here, once:\n  {address}/invitation/{token}\n")
    return True


def demo_project(database: Database, console: Console) -> None:
    """A project of real items, once."""
    with database.read() as session:
        if session.scalars(select(Project.id).where(Project.name == DEMO_PROJECT)).first() is not None:
            return
    if not DEMO_ITEMS.exists():
        raise DataError(
            f"The demo's items are not there: {DEMO_ITEMS}.", remedy="fetch them: python scripts/fetch_assets.py"
        )
    made = projects.create_project(
        database, None, DEMO_PROJECT, "comparison", ProjectSettings(overlap=2), DEMO_GUIDELINES
    )
    report = imports.import_items(database, None, made, str(DEMO_ITEMS))
    console.print(f"The project {DEMO_PROJECT!r} has {report.added:,} comparisons.\n")


def settings_from(file: Path) -> ProjectSettings:
    """A project's settings from a YAML file.

    Raises:
        ConfigError: a key is unknown, or a value out of range; all are listed.
    """
    try:
        fields = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        return ProjectSettings.model_validate(fields)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}", remedy="correct it.") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors()]
        raise ConfigError(f"{file} has bad settings.", problems=problems, remedy="correct them.") from error


def run(database: Database, *, host: str, port: int, names: tuple[str, ...], https: bool, console: Console) -> None:
    """Serve until the process is told to stop; what is under way is finished first."""
    import uvicorn

    from labeling_app.web.server import create_app  # takes seconds to import

    if host not in ("127.0.0.1", "localhost") and not https:
        console.print("Passwords travel unencrypted: put a proxy with HTTPS before it, and say --https.\n")
    application = create_app(database, host=host, port=port, names=names, https=https)
    console.print(f"Labeling at {address_of(host, port, list(names), https)}   (Ctrl-C stops it)")
    uvicorn.run(
        application, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5, proxy_headers=https
    )


def require_free(host: str, port: int) -> None:
    """Raises ConfigError where somebody else listens."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} can't be listened on: {error.strerror}.", remedy="name another one by --port."
            ) from error


def backup(database: Database, file: Path) -> None:
    """Copy a database that is in use, as it is at one moment. Written aside and renamed.

    Raises:
        ConfigError: the copy exists, or PostgreSQL's pg_dump is missing or fails.
    """
    if file.exists():
        raise ConfigError(f"{file} exists.", remedy="name a new file.")
    aside = file.with_name(f".{file.name}.part")
    try:
        if database.path is not None:
            with (
                contextlib.closing(sqlite3.connect(database.path)) as source,
                contextlib.closing(sqlite3.connect(aside)) as copy,
            ):
                source.backup(copy)
        else:
            _dump(database, aside)
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def _dump(database: Database, file: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise ConfigError(
            "pg_dump is not installed.", remedy="install PostgreSQL's client: apt-get install postgresql-client"
        )
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [program, "--format=custom", f"--file={file}", f"--dbname={url}"], capture_output=True, text=True
    )
    if done.returncode:
        raise ConfigError(f"pg_dump failed: {done.stderr.strip()}", remedy="see its message.")


def print_figures(found: "Dashboard", console: Console) -> None:
    """The dashboard's figures in a terminal."""
    console.print(f"{found.items_done:,} of {found.items:,} items done, {found.disputes:,} in adjudication")
    console.print(f"{found.labels:,} judgements, {found.labels_today:,} of them today")
    console.print(f"agreement (Krippendorff's alpha): {_figure(found.agreement.value, found.agreement.interval)}")
    if found.agreement.warning:
        console.print(f"  {found.agreement.warning}")
    table = Table(
        "annotator", "judgements", "median s", "with the rest", "gold right", "left picked", "repeats the same"
    )
    for one in found.people:
        shares = (one.with_rest, one.gold, one.left, one.consistency)
        seconds = "" if one.median_seconds is None else f"{one.median_seconds:.0f}"
        table.add_row(one.name, f"{one.labels:,}", seconds, *(_figure(share.value, share.interval) for share in shares))
    console.print(table)


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" + (f" ({interval.low:.2f} to {interval.high:.2f})" if interval else "")
