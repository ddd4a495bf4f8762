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

from labeling_app.accounts.invitations import accept, invite
from labeling_app.accounts.people import create_person
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from labeling_app.store.tables import Role

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Server:
    """A running server, the store behind it, and the browsers that were opened on it."""

    address: str
    database: Database
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self) -> httpx.Client:
        """A browser without a session."""
        client = httpx.Client(base_url=self.address, headers={"origin": self.address}, timeout=30)
        self.clients.append(client)
        return client

    def session(self, name: str, password: str = PASSWORD) -> httpx.Client:
        """A browser that has logged in."""
        client = self.client()
        answer = client.post("/login", data={"username": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "error::DeprecationWarning:labeling_app", "-m", "labeling_app", "serve"]
    process = subprocess.Popen([*command, "--db", url, "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process)
        server = Server(f"http://127.0.0.1:{port}", database)
        yield server
        for client in server.clients:
            client.close()
    finally:
        process.terminate()
        process.wait(timeout=30)
        database.close()


def _wait_until_ready(address: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{address}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the server didn't come up within a minute")
