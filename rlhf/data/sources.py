"""What a data source is: a file, a folder, a data set saved by `datasets`, or an id on the Hugging Face hub.

A name that exists on disk is read from disk. Otherwise `owner/name` (or `owner/name:config`) is looked for on
the hub, unless it looks like a path with a slip in it, which is answered with the names that are near.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from rlhf.data.files import READERS, read_file, suffix_of
from rlhf.data.json_files import RawRow
from rlhf.data.labels import is_label_source, open_label_source
from rlhf.data.schema import Place
from rlhf.errors import DataError, MissingDependencyError

HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?$")
# Files that go with a data set or a model, and hold no rows.
COMPANIONS = {"dataset_info.json", "dataset_infos.json", "state.json", "config.json", "PROVENANCE.json"}
SPLIT_NAMES = {"train", "training", "test", "eval", "validation", "valid", "val", "dev", "heldout"}


def read_source(source: str | Path, split: str = "train") -> Iterator[RawRow]:
    """All rows of a source, in the order of its files.

    Raises:
        DataError: there is no such source, or it has no such split.
    """
    path = Path(source)
    if path.is_dir() and _is_saved_dataset(path):
        yield from _read_saved_dataset(path, split)
    elif path.exists():
        for file in source_files(source, split):
            yield from read_file(file)
    elif is_hub_id(str(source)):
        yield from _read_hub(str(source), split)
    else:
        raise missing_source(source)


def source_files(source: str | Path, split: str = "train") -> list[Path]:
    """The local files of a source, for checksums; none for a hub id, which has a revision instead.

    A folder gives the files whose names carry the split (`train.jsonl`, `sft_train.jsonl`,
    `data/train-00000.parquet`), or all its data files where no name carries any split.
    """
    if is_label_source(str(source)):
        return open_label_source(str(source)).files()
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        if is_hub_id(str(source)):
            return []
        raise missing_source(source)
    if _is_saved_dataset(path):
        return sorted(path.rglob("*.arrow"))
    files = sorted(file for file in path.rglob("*") if file.is_file() and _is_data_file(file, path))
    if not files:
        raise DataError(
            f"The folder {path} has no data files.",
            remedy=f"Name a folder or a file with {', '.join(READERS)}.",
        )
    by_split = {file: _words(file) & SPLIT_NAMES for file in files}
    if not any(by_split.values()) and split == "train":
        return files
    wanted = [file for file in files if split in _words(file)]
    if wanted:
        return wanted
    present = sorted(set().union(*by_split.values())) or ["train"]
    raise DataError(
        f"The folder {path} has no file for the split {split!r}.",
        remedy=f"Its splits are: {', '.join(present)}. Name one of them, or a single file.",
    )


def is_hub_id(source: str) -> bool:
    """Does a name that isn't on disk look like a data set of the hub, not like a path with a slip in it?"""
    if not HUB_ID.match(source) or Path(source).suffix.lower() in READERS:
        return False
    return not Path(source).parent.is_dir()


def missing_source(source: str | Path) -> DataError:
    """The error for a path that doesn't exist, with the names nearby that may have been meant."""
    path = Path(source)
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    broken = path.relative_to(folder).parts[0] if path.name else str(path)
    near = get_close_matches(broken, sorted(entry.name for entry in folder.iterdir()), n=3, cutoff=0.6)
    if near:
        remedy = "Did you mean " + " or ".join(str(folder / name) for name in near) + "?"
    else:
        remedy = "Check the path. A data set on the hub is named 'owner/name'."
    return DataError(f"There is no file or folder {source}.", remedy=remedy)


def _is_data_file(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    # Files that go with a data set or a model, and hold no rows.
    companion = file.name in (
        "dataset_info.json",
        "dataset_infos.json",
        "state.json",
        "config.json",
        "PROVENANCE.json",
    )
    return suffix_of(file) in READERS and not hidden and not companion


def _words(file: Path) -> set[str]:
    """The words of a file's name, and of its folder: {"sft", "train"} for sft_train.jsonl."""
    stem = file.name.lower().split(".", 1)[0]
    return {*re.split(r"[-_\s]+", stem), file.parent.name.lower()}


def _is_saved_dataset(folder: Path) -> bool:
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _read_saved_dataset(folder: Path, split: str) -> Iterator[RawRow]:
    import datasets

    loaded = datasets.load_from_disk(str(folder))
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise DataError(f"{folder} has no split {split!r}.", remedy=f"Its splits are: {', '.join(loaded)}.")
        loaded = loaded[split]
    yield from _numbered(str(folder), loaded)


def _read_hub(source: str, split: str) -> Iterator[RawRow]:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError("datasets", "train", f"Reading {source} from the hub") from error
    name, _, config = source.partition(":")
    try:
        loaded = datasets.load_dataset(name, config or None, split=split)
    except Exception as error:  # the hub client raises dozens of types: network, id, config, split
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{source} is not on disk, and loading it from the hub failed: {type(error).__name__}: {reason}",
            remedy="Check the name and the split, and that the hub can be reached; or give a local path.",
        ) from error
    yield from _numbered(source, loaded)


def _numbered(name: str, rows: Iterable[Any]) -> Iterator[RawRow]:
    for number, fields in enumerate(rows, start=1):
        yield Place(name, number, "row"), dict(cast(Mapping[str, Any], fields))
