"""The run directory: what a recipe did, on what, and with what result.

config.yaml     every option as it was resolved; `--config RUN/config.yaml` repeats the run
metrics.jsonl   one line for each logged step
samples.jsonl   PPO: what the policy said to held-out prompts, and how it was scored
manifest.json   identity, parents, data, labels, versions, seed, device, result: lineage is read from it
README.md       the model card
plots/*.png     the metrics as pictures
"""

import hashlib
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rlhf.config import resolved
from rlhf.errors import ConfigError

METRICS_FILE, SAMPLES_FILE = "metrics.jsonl", "samples.jsonl"
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets", "rlhf-suite")
FINGERPRINTED = ("*.safetensors", "config.json", "adapter_config.json", "tokenizer.json", "chat_template.jinja")


@dataclass
class Run:
    """An open run directory. Only the main process of a launch writes; the others keep `dir` and do nothing else."""

    dir: Path
    manifest: dict[str, Any]
    writes: bool = True
    started: float = 0.0

    @classmethod
    def create(
        cls,
        output_dir: str | Path,
        recipe: str,
        options: Sequence[object],
        *,
        seed: int,
        data_files: Sequence[Path] = (),
        parents: Sequence[Path] = (),
        label_ids: Sequence[str] = (),
        base_model: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
    ) -> "Run":
        """Open a run directory and write its configuration and a first manifest.

        Args:
            output_dir: the directory; it may hold an earlier run only with `overwrite` or `resume`.
            recipe: the recipe's name, such as "sft".
            options: the option objects that `rlhf.config.parse` returned.
            data_files: the files that were read; their checksums go into the manifest.
            parents: run directories or model folders that this run starts from.
            label_ids: the ids of the human labels that were used.
            base_model: the base model's folder, which is fingerprinted, or its hub id.
            overwrite: remove an earlier run that lies there.
            resume: go on with the run that lies there.

        Raises:
            ConfigError: when the directory holds a run and neither flag is given.
        """
        directory = Path(output_dir)
        writes = int(os.environ.get("RANK", "0")) == 0
        manifest = {
            "run_id": str(uuid.uuid4()),
            "recipe": recipe,
            "status": "running",
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": seed,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "parents": [describe_parent(Path(parent)) for parent in parents],
            "data": [{"path": str(path), "sha256": file_sha256(path)} for path in data_files],
            "base_model": {"name": base_model, "fingerprint": folder_fingerprint(base_model)} if base_model else None,
            "label_ids": list(label_ids),
            **environment(),
        }
        run = cls(directory, manifest, writes, time.monotonic())
        if writes:
            run._prepare_directory(overwrite, resume)
            config = {name: value for group in options for name, value in resolved(group).items()}
            write_atomic(directory / "config.yaml", yaml.safe_dump(config, allow_unicode=True, sort_keys=True))
            run._write_manifest()
        return run

    def _prepare_directory(self, overwrite: bool, resume: bool) -> None:
        manifest_file = self.dir / "manifest.json"
        if manifest_file.exists() and resume:
            earlier = json.loads(manifest_file.read_text(encoding="utf-8"))
            self.manifest["resumed_from"] = earlier.get("resumed_from", []) + [earlier["run_id"]]
        elif manifest_file.exists() and overwrite:
            _remove_run(self.dir, manifest_file)
        elif manifest_file.exists():
            raise ConfigError(
                f"{self.dir} already holds a run.",
                remedy="choose another --output_dir, go on with it by --resume_from_checkpoint true, "
                "or replace it by --overwrite_output_dir true.",
            )
        self.dir.mkdir(parents=True, exist_ok=True)

    def log(self, metrics: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        if self.writes:
            with (self.dir / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")

    def cut_back(self, step: int) -> None:
        """Drop metrics and samples after a step, and those of the end of a run: a resumed run writes them again.

        The end begins where `train_loss` is logged; an evaluation that follows has the same step as one before. Of the
        samples those stay whose evaluation stays.
        """
        if not self.writes:
            return
        metrics = itertools.takewhile(lambda row: "train_loss" not in row, self.metrics())
        kept = [row for row in metrics if row.get("step", 0) <= step]
        self._rewrite(METRICS_FILE, kept)
        evaluations = Counter(row["step"] for row in kept if any(name.startswith("eval_") for name in row))
        samples: list[dict[str, Any]] = []
        seen: Counter[tuple[int, int]] = Counter()
        for row in _read_lines(self.dir / SAMPLES_FILE):
            seen[row["step"], row.get("number", 0)] += 1
            if seen[row["step"], row.get("number", 0)] <= evaluations[row["step"]]:
                samples.append(row)
        self._rewrite(SAMPLES_FILE, samples)

    def _rewrite(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        if (self.dir / name).is_file():
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            write_atomic(self.dir / name, "".join(lines))

    def metrics(self) -> list[dict[str, Any]]:
        return read_metrics(self.dir)

    def finish(self, summary: dict[str, Any], card: str = "") -> None:
        """Write the result into the manifest, and the model card.

        Args:
            summary: the figures that sum up the run.
            card: the Markdown that the model card opens with.
        """
        if not self.writes:
            return
        self.manifest |= {"status": "finished", "summary": summary}
        self._close()
        write_atomic(self.dir / "README.md", model_card(self.manifest, card))

    def fail(self, reason: str) -> None:
        """Record that the run ended early, and why."""
        if self.writes:
            self.manifest |= {"status": "failed", "reason": reason}
            self._close()

    def _close(self) -> None:
        self.manifest["finished_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.manifest["wall_seconds"] = round(time.monotonic() - self.started, 1)
        self._write_manifest()

    def _write_manifest(self) -> None:
        write_atomic(self.dir / "manifest.json", json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n")


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`; a last line that a kill cut off is left out."""
    return _read_lines(run_dir / METRICS_FILE)


def _read_lines(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in file.read_bytes().split(b"\n") if file.exists() else []:
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except ValueError:  # cut off, perhaps within a letter
            break
    return rows


def write_atomic(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, never sees half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _remove_run(run_dir: Path, manifest: Path) -> None:
    """Remove all that a run has left, its manifest last: what a kill leaves of it is still seen to be a run's."""
    for path in run_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != manifest:
            path.unlink()
    manifest.unlink()


def file_sha256(path: Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_fingerprint(name_or_path: str) -> str | None:
    """A checksum over a model folder's weights, configuration and tokenizer; None for a hub id."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted({file for pattern in FINGERPRINTED for file in folder.glob(pattern)}):
        digest.update(f"{file.name} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


def describe_parent(folder: Path) -> dict[str, Any]:
    """A parent's path, fingerprint and, when it is a run directory, its run id."""
    manifest = folder / "manifest.json"
    run_id = json.loads(manifest.read_text(encoding="utf-8"))["run_id"] if manifest.exists() else None
    return {"path": str(folder), "run_id": run_id, "fingerprint": folder_fingerprint(str(folder))}


def environment() -> dict[str, Any]:
    """Versions, git revision and machine."""
    return {
        "versions": {"python": platform.python_version()} | {p: v for p in PACKAGES if (v := _version(p))},
        "git": {"revision": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain"))},
        "device": {"machine": platform.machine(), "cpus": os.cpu_count(), "accelerator": _accelerator()},
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _accelerator() -> str | None:
    """The accelerator's name, asked of torch only where torch is loaded already."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def model_card(manifest: dict[str, Any], introduction: str) -> str:
    """The run's README: what it is, its result, where it comes from."""
    base = (manifest.get("base_model") or {}).get("name")
    summary = "\n".join(f"| {name} | {_shown(value)} |" for name, value in manifest.get("summary", {}).items())
    parents = "\n".join(f"- `{parent['path']}` (run {parent['run_id']})" for parent in manifest["parents"])
    data = "\n".join(f"- `{entry['path']}` (sha256 {entry['sha256'][:16]}…)" for entry in manifest["data"])
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    front = f"---\nbase_model: {base}\ntags: [rlhf, {manifest['recipe']}]\n---\n\n" if base else ""
    sections = [
        f"# {manifest['recipe']} run {manifest['run_id'][:8]}",
        introduction,
        f"| result | value |\n| --- | --- |\n{summary}" if summary else "",
        f"## Started from\n\n{parents}" if parents else "",
        f"## Data\n\n{data}\n\nHuman labels used: {len(manifest['label_ids']):,}." if data else "",
        f"## Repeat it\n\nSeed {manifest['seed']}; options in `config.yaml`; {versions}.",
    ]
    return front + "\n\n".join(section for section in sections if section) + "\n"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
