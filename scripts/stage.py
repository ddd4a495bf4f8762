r"""Run one stage of a longer job, unless it is complete already: heading, time, memory, and a record of all three.

    python scripts/stage.py ppo --number 5 --of 7 --title PPO --minutes 4 --inputs ppo.yaml runs/sft/manifest.json \
        --output runs/ppo --record runs/stages.json -- accelerate launch recipes/ppo.py ...

A stage is complete where its output exists and its record was made by the same command from the same inputs.
"""

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rlhf.errors import ConfigError, exit_on_error
from rlhf.runs import file_sha256, write_atomic

# The unit of ru_maxrss in bytes: kilobytes on Linux, bytes on macOS.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def fingerprint(command: list[str], inputs: list[Path]) -> str:
    """A checksum of the command and of the contents of its inputs.

    Raises:
        ConfigError: an input doesn't exist.
    """
    missing = [str(path) for path in inputs if not path.is_file()]
    if missing:
        raise ConfigError("A stage lacks its inputs.", problems=missing, remedy="Run the stages before it.")
    content = [command, [[str(path), file_sha256(path)] for path in inputs]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def is_complete(record: dict[str, Any] | None, mark: str, output: Path) -> bool:
    return record is not None and record["inputs"] == mark and output.exists()


def read_record(path: Path) -> dict[str, Any]:
    """Stage name -> {"wall_seconds", "peak_memory_bytes", "inputs"}; empty where there is no record yet."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_record(path: Path, records: dict[str, Any]) -> None:
    write_atomic(path, json.dumps(records, indent=2) + "\n")


def execute(command: list[str], output: Path) -> dict[str, Any]:
    """Run the command on a clean output; its wall seconds and the largest memory of any one of its processes.

    Raises:
        SystemExit: with the command's own exit status, where that isn't 0.
    """
    # What lies there is of other inputs, or was cut off.
    if output.is_dir():
        shutil.rmtree(output)
    started = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    if status:
        print(f"The stage failed: {' '.join(command)}", file=sys.stderr)
        raise SystemExit(status if status > 0 else 128 - status)
    return {
        "wall_seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * RSS_UNIT,
    }


@exit_on_error()
def main() -> None:
    options, command = parse(sys.argv[1:])
    heading = f"[{options.number}/{options.of}] {options.title}"
    mark = fingerprint(command, options.inputs)
    records = read_record(options.record)
    if is_complete(records.get(options.name), mark, options.output):
        print(f"\n{heading}: complete already ({options.output})")
        return
    print(f"\n{heading}: about {options.minutes} min", flush=True)
    options.record.parent.mkdir(parents=True, exist_ok=True)
    records.pop(options.name, None)
    write_record(options.record, records)
    records[options.name] = execute(command, options.output) | {"inputs": mark}
    write_record(options.record, records)
    seconds, memory = records[options.name]["wall_seconds"], records[options.name]["peak_memory_bytes"] / 2**30
    print(f"{heading}: done in {seconds:.0f} s, at most {memory:.1f} GiB of memory", flush=True)


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options before `--`, and the command after it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="the stage's name in the record")
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--of", type=int, required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--minutes", required=True, help="how long it takes on 2 idle CPU cores")
    parser.add_argument("--inputs", type=Path, nargs="*", default=[], help="files that decide the result")
    parser.add_argument("--output", type=Path, required=True, help="the folder or file that it leaves")
    parser.add_argument("--record", type=Path, required=True, help="the JSON file of all stages")
    if "--" not in arguments:
        parser.error("the command is missing; it stands after --")
    end = arguments.index("--")
    return parser.parse_args(arguments[:end]), arguments[end + 1 :]


if __name__ == "__main__":
    main()
