"""Programs run one after the other through scripts/stage.py, which leaves alone what is complete."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppo_bench.processes import SCRIPTS, environment
from rlhf.errors import RlhfError
from rlhf.models.folders import read_json


@dataclass(frozen=True)
class Stage:
    """One program.

    Attributes:
        minutes: how long it takes, as announced.
        inputs: the files that decide what comes out; their content is compared on the next call.
        output: the folder that it leaves.
        ahead: folders that its Python searches before everything installed.
    """

    name: str
    title: str
    minutes: int
    command: list[str]
    inputs: list[Path]
    output: Path
    ahead: list[Path] = field(default_factory=list)


def run_stages(stages: Sequence[Stage], record: Path) -> dict[str, Any]:
    """Run all, each showing what it shows.

    Returns:
        Seconds and peak memory by stage.

    Raises:
        RlhfError: a stage failed; what it said stands above.
    """
    for number, stage in enumerate(stages, 1):
        own = ["--number", str(number), "--of", str(len(stages)), "--title", stage.title]
        own += ["--minutes", str(stage.minutes), "--output", str(stage.output), "--record", str(record)]
        own += ["--inputs", *map(str, stage.inputs)]
        words = [sys.executable, str(SCRIPTS / "stage.py"), stage.name, *own, "--", *stage.command]
        if subprocess.run(words, env=environment(stage.ahead), check=False).returncode:
            raise RlhfError(
                f"The stage {stage.name} ({stage.title}) failed.",
                remedy="its message stands above; mend it and run this again: the stages before are kept.",
            )
    names = {stage.name for stage in stages}
    return {name: entry for name, entry in read_json(record).items() if name in names}
