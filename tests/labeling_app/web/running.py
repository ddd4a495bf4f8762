"""The real server in a process of its own, and people who have accounts there."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import select

from labeling_app.accounts.invitations import accept, invite
from labeling_app.accounts.people import create_person
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Label, Role

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse battery"
ATTEMPTS = 3
READY_WITHIN = 180


@dataclass(frozen=True)
class Server:
    """A running server, the store behind it, and the browsers that were opened on it."""

    address: str
    database: Database
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self) -> httpx.Client:
        """A browser without a session."""
        client = httpx.Client(base_url=self.address, headers={"origin": self.address}, timeout=120)
        self.clients.append(client)
        return client

    def session(self, name: str, password: str = PASSWORD) -> httpx.Client:
        """A browser that has logged in."""
        client = self.client()
        answer = client.post("/login", data={"username": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def labels(self) -> list[Label]:
        """All that was answered, in order."""
        with self.database.read() as session:
            return list(session.scalars(select(Label).order_by(Label.id)))


def account(database: Database, name: str, role: Role = Role.annotator) -> int:
    """The id of a person with a password."""
    person = create_person(database, None, name, role)
    accept(database, invite(database, None, person), PASSWORD)
    return person


@contextmanager
def running(url: str) -> Iterator[Server]:
    """The server on a store, stopped at the end."""
    database = Database(url)
    migrate(database)
    process, address = started(url)
    server = Server(address, database)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        stop(process)
        database.close()


def started(url: str, port: int = 0, *options: str) -> tuple["subprocess.Popen[bytes]", str]:
    """A server that answers, and its address; `port` 0: any that is free."""
    for _ in range(ATTEMPTS):
        chosen = port or free_port()
        command = [sys.executable, "-W", "error::DeprecationWarning:labeling_app", "-m", "labeling_app", "serve"]
        command += ["--db", url, "--port", str(chosen), *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{chosen}"
        if _answers(address, process):
            return process, address
        # Somebody else took the port between the look and the start.
    raise RuntimeError(f"the server ended {ATTEMPTS} times; what it said stands above")


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server answers; False if it ended."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        try:
            if httpx.get(f"{address}/healthz", timeout=30).status_code == 200:
                return process.poll() is None
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    raise TimeoutError(f"the server didn't come up within {READY_WITHIN} s")
