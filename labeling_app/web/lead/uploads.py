"""Files that were uploaded or pasted and wait for the lead's word: checked first, imported after they said so.

They lie in a temporary folder of this process; a person has one waiting at a time, for an hour.
"""

import gzip
import re
import secrets
import shutil
import threading
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from labeling_app.errors import NotFound, Refused, Unavailable
from labeling_app.store.tables import ItemKind
from rlhf.data.files import READERS, suffix_of

# The one path that takes large bodies.
PATH = re.compile(r"/lead/projects/\d{1,18}/items/upload")
LARGEST_UPLOAD = 64_000_000
LARGEST_UNPACKED = 512_000_000
LONGEST_NAME = 100  # bytes: of a name in another script, a file system takes fewer characters
PART = 1 << 20
WAITS = timedelta(hours=1)
UNUSUAL = re.compile(r"[^\w.\- ]")
JSON_LINE = re.compile(r"\s*\{.*\}\s*")


@dataclass(frozen=True)
class Waiting:
    """A file that waits.

    Attributes:
        person, project: whose, and for which project.
        file: under its own name, in a folder of its own.
    """

    token: str
    person: int
    project: int
    kind: ItemKind
    at: datetime
    file: Path

    @property
    def folder(self) -> Path:
        return self.file.parent

    def without_folder(self, text: str) -> str:
        """A message with the file's own name, as its person knows it."""
        return text.replace(f"{self.folder}/", "")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Uploads:
    """Those that wait, by person."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._lock = threading.Lock()

    def keep(self, person: int, project: int, kind: ItemKind, name: str, content: IO[bytes], now: datetime) -> Waiting:
        """Keep a file, in the place of the one that this person had waiting.

        Raises:
            Refused: it is of no format that is read, can't be unpacked, or is too large when unpacked.
            Unavailable: there is no room for it.
        """
        file_name = _cut(UNUSUAL.sub("_", name)).lstrip(".")
        if suffix_of(Path(file_name)) not in READERS:
            raise Refused(
                f"“{name[-100:]}” is in no format that is read here.", remedy=f"upload one of {', '.join(READERS)}."
            )
        try:
            file = self._written(file_name, content)
        except OSError as error:
            remedy = "make room in the server's folder for temporary files; nothing was imported."
            raise Unavailable(f"The file can't be kept: {error.strerror}.", remedy=remedy) from error
        waiting = Waiting(secrets.token_urlsafe(16), person, project, kind, now, file)
        with self._lock:
            earlier = self._waiting.pop(person, None)
            self._waiting[person] = waiting
            late = [one for one in self._waiting.values() if one.at + WAITS <= now]
            for one in late:
                del self._waiting[one.person]
        for one in [*late, *([earlier] if earlier else [])]:
            one.remove()
        return waiting

    def _written(self, name: str, content: IO[bytes]) -> Path:
        """The file, unpacked, in a folder of its own."""
        folder = Path(mkdtemp(prefix="labeling-upload-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # at the latest when the process ends
        packed = name.lower().endswith(".gz")
        file = folder / (name[: -len(".gz")] if packed else name)
        try:
            with file.open("wb") as target:
                target.writelines(_unpacked(content) if packed else iter(partial(content.read, PART), b""))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return file

    def find(self, person: int, project: int, token: str, now: datetime) -> Waiting:
        """A file of this person's for this project.

        Raises:
            NotFound: it doesn't wait any more.
        """
        with self._lock:
            one = self._waiting.get(person)
        if one is None or one.project != project or one.at + WAITS <= now or one.token != token:
            raise NotFound("This file is not waiting any more.", remedy="choose it again; nothing was imported.")
        return one

    def waiting(self) -> list[Waiting]:
        """All of them, some of them perhaps too late."""
        with self._lock:
            return list(self._waiting.values())

    def drop(self, waiting: Waiting) -> None:
        """It was imported, or isn't wanted."""
        with self._lock:
            if self._waiting.get(waiting.person) is waiting:
                del self._waiting[waiting.person]
        waiting.remove()


def pasted_name(text: str) -> str:
    """A file name that tells the format of a pasted text: lines of JSON, other JSON, or a table."""
    first = text.strip().partition("\n")[0]
    if first.startswith(("{", "[")):
        return "pasted.jsonl" if JSON_LINE.fullmatch(first) else "pasted.json"
    return "pasted.tsv" if "\t" in first else "pasted.csv"


def _cut(name: str) -> str:
    """The end of a name, which tells the format."""
    return name.encode("utf-8", "ignore")[-LONGEST_NAME:].decode("utf-8", "ignore")


def _unpacked(content: IO[bytes]) -> Iterator[bytes]:
    """What a packed file holds: a small one may hold a very large one."""
    left = LARGEST_UNPACKED
    try:
        with gzip.open(content) as packed:
            while part := packed.read(PART):
                if (left := left - len(part)) < 0:
                    raise Refused(
                        f"This file has more than {LARGEST_UNPACKED // 1_000_000} MB when it is unpacked.",
                        remedy="import it by the command line, or in parts.",
                    )
                yield part
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(
            f"This file can't be unpacked: {error}", remedy="pack it again, or upload it as it is."
        ) from error
