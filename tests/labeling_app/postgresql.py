"""A real PostgreSQL server for the tests, from the system's package, in a folder of its own, on a Unix socket only."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

CANDIDATES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=150"
MISSING = "the tests need PostgreSQL's server: apt-get install postgresql (scripts/test.sh does it as root)"


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs, which Debian keeps off the path."""
    found = next((str(folder / name) for folder in CANDIDATES if (folder / name).exists()), shutil.which(name))
    if found is None:
        raise FileNotFoundError(MISSING)
    return found


class PostgresServer:
    """A cluster that is made, started, and removed with everything in it. PostgreSQL refuses to run as root."""

    def __init__(self, options: str = FAST):
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        listen = f"-c listen_addresses='' -c unix_socket_directories={self.folder} {options}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.folder / "log"), "-o", listen, "start")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        command = [program(name), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", self.user, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder)
