"""Label Studio, beside which our app is measured: installed once from the package index, in an environment of its own.

It runs as `label-studio start` runs it, on a SQLite file of its own, and tells nobody: its statistics, its look for
updates and its crash reports are off, and whatever it sends elsewhere goes to a port where nobody listens.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from labeling_bench.processes import MeasureFailed, free_port, serving

VERSION = "1.23.2"
PASSWORD = "correct horse battery"
ADMIN = "lead@example.org"
QUIET = {
    "COLLECT_ANALYTICS": "False",
    "LATEST_VERSION_CHECK": "False",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "DJANGO_DB": "sqlite",
}
# Its own template for a choice between two texts.
TEMPLATE = """<View>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="choice" toName="a,b"/>
  <Text name="a" value="$a"/>
  <Text name="b" value="$b"/>
</View>"""
CHOICE = {"from_name": "choice", "to_name": "a,b", "type": "pairwise", "value": {"selected": "left"}}
AT_ONCE = 5_000


def install(folder: Path, console: Console) -> Path:
    """The program, installed into a virtual environment at `folder` unless it is there.

    Raises:
        MeasureFailed: it can't be installed.
    """
    program = folder / "bin" / "label-studio"
    if program.exists():
        return program.absolute()
    with console.status(f"Label Studio {VERSION}: installing it into {folder}"):
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", f"label-studio=={VERSION}"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                lines = done.stderr.splitlines()[-8:]
                remedy = f"install it by hand, or remove {folder} and run this again."
                raise MeasureFailed("Label Studio can't be installed.", problems=lines, remedy=remedy)
    return program.absolute()


@contextmanager
def label_studio(program: Path, folder: Path) -> Iterator[str]:
    """Its server with a fresh store in `folder`; gives its address."""
    port, data = free_port(), folder / "data"
    data.mkdir(parents=True)
    start = [str(program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    start += ["--username", ADMIN, "--password", PASSWORD, "--data-dir", str(data)]
    address = f"http://127.0.0.1:{port}"
    with serving(start, f"{address}/health", folder, QUIET | {"LABEL_STUDIO_BASE_DATA_DIR": str(data)}):
        yield address


def fill(address: str, tasks: Sequence[dict[str, str]], overlap: int, names: Sequence[str]) -> tuple[int, float]:
    """Make a project with tasks, and accounts; returns the project's id and how many seconds the import took."""
    with httpx.Client(base_url=address, timeout=900) as client:
        for name in names:
            with httpx.Client(base_url=address, timeout=60) as newcomer:
                form = {"email": mail(name), "password": PASSWORD, "allow_newsletters": "false"}
                _submit(newcomer, "/user/signup", form)
        _submit(client, "/user/login", {"email": ADMIN, "password": PASSWORD})
        settings = {"title": "bench", "label_config": TEMPLATE, "maximum_annotations": overlap}
        project = int(_post(client, "/api/projects", settings)["id"])
        began = time.perf_counter()
        for first in range(0, len(tasks), AT_ONCE):
            part = [{"data": task} for task in tasks[first : first + AT_ONCE]]
            _post(client, f"/api/projects/{project}/import", part)
        return project, time.perf_counter() - began


def mail(name: str) -> str:
    """Accounts are mail addresses there."""
    return f"{name.replace(' ', '-')}@example.org"


@dataclass
class TheirAnnotator:
    """Somebody with Label Studio's labelling page open: the two calls that it makes from one task to the next."""

    address: str
    name: str
    project: int
    client: httpx.AsyncClient = field(init=False)
    task: int = 0

    async def begin(self) -> None:
        """Log in, and get the first task."""
        self.client = httpx.AsyncClient(base_url=self.address, headers={"referer": self.address}, timeout=120)
        await self.client.get("/user/login")
        token = self.client.cookies["csrftoken"]
        form = {"email": mail(self.name), "password": PASSWORD, "csrfmiddlewaretoken": token}
        entered = await self.client.post("/user/login", data=form)
        if entered.status_code != 302:
            raise MeasureFailed(f"{self.name} was not let in.", remedy="see the server's log.")
        self.client.headers["x-csrftoken"] = self.client.cookies["csrftoken"]
        await self._next()

    async def answer(self, thinking: float) -> dict[str, float]:
        """Judge the task that is shown; seconds until that is saved, and then until the next one is here."""
        began = time.perf_counter()
        body = {"result": [CHOICE], "lead_time": thinking, "project": self.project}
        await self._post(f"/api/tasks/{self.task}/annotations?project={self.project}", body, 201)
        saved = time.perf_counter()
        await self._next()
        drawn = time.perf_counter()
        return {"submit": saved - began, "next": drawn - saved, "answer and next": drawn - began}

    async def end(self) -> None:
        await self.client.aclose()

    async def _next(self) -> None:
        found = await self._post(f"/api/dm/actions?id=next_task&project={self.project}", {}, 200)
        self.task = int(found["id"])

    async def _post(self, path: str, body: Any, expected: int) -> dict[str, Any]:
        answer = await self.client.post(path, json=body)
        if answer.status_code != expected:
            raise MeasureFailed(
                f"Label Studio answered {answer.status_code}: {answer.text[:300]}", remedy="see its log."
            )
        return dict(answer.json())


def _submit(client: httpx.Client, path: str, form: dict[str, str]) -> None:
    client.get(path)
    token = client.cookies["csrftoken"]
    headers = {"referer": str(client.base_url)}
    answer = client.post(path, data=form | {"csrfmiddlewaretoken": token}, headers=headers)
    if answer.status_code != 302:
        raise MeasureFailed(f"Label Studio refused {path}: {answer.status_code}.", remedy="see its log.")


def _post(client: httpx.Client, path: str, body: Any) -> dict[str, Any]:
    headers = {"referer": str(client.base_url), "x-csrftoken": client.cookies["csrftoken"]}
    answer = client.post(path, json=body, headers=headers)
    if answer.status_code not in (200, 201):
        raise MeasureFailed(f"Label Studio answered {answer.status_code}: {answer.text[:300]}", remedy="see its log.")
    return dict(answer.json())
