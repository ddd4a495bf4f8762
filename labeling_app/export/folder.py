"""A folder that is whole or not there: written aside, then renamed."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labeling_app.errors import Refused
from rlhf.runs import write_atomic

MANIFEST = "manifest.json"


class JsonLines:
    """A file of one object a line, which knows its checksum."""

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._sha256 = hashlib.sha256()
        self.rows = 0

    def write(self, row: dict[str, Any]) -> None:
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        self._file.write(line)
        self._sha256.update(line)
        self.rows += 1

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *raised: object) -> None:
        """To the disk, before the folder gets its name."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def describe(self) -> dict[str, Any]:
        return {"rows": self.rows, "sha256": self._sha256.hexdigest()}


@contextmanager
def written_aside(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its name at the end, or goes if anything is raised.

    Raises:
        Refused: the folder is there, and isn't an earlier export that may be replaced; or it can't be written.
    """
    _check(folder, overwrite)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        yield aside
        _take_place(aside, folder)
    except OSError as error:
        raise Refused(f"{folder} can't be written: {error}", remedy="check the folder and the space.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_atomic(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")


def _check(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MANIFEST).is_file():
        raise Refused(f"{folder} holds something else than an export.", remedy="choose another folder.")
    if not overwrite:
        raise Refused(f"{folder} holds an export already.", remedy="choose another folder, or overwrite it.")


def _take_place(aside: Path, folder: Path) -> None:
    """The earlier one is moved away first: a folder can't be renamed onto one that isn't empty."""
    earlier = aside.with_suffix(".earlier")
    if folder.exists():
        os.replace(folder, earlier)
    os.replace(aside, folder)
    shutil.rmtree(earlier, ignore_errors=True)
