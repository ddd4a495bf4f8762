"""A run of recipes/ppo.py in processes of its own, killed from outside and started again as a user would.

Everything is imported once, by a server that forks a process for each attempt and has one thread while it does so.
"""

import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from recipes.ppo import main
from rlhf.trainers.checkpoints import STAGING_FOLDER

ROOT = Path(__file__).parents[3]
POLL_SECONDS = 0.002
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Kill:
    """Where a kill fell: the step of the newest checkpoint, and whether another was half written."""

    step: int
    while_saving: bool


class KilledRun:
    """A run in a folder, of which one process after another is killed."""

    def __init__(self, folder: Path, arguments: dict[str, object]):
        self.folder = folder
        self.arguments = [w for key, x in (arguments | {"output_dir": folder}).items() for w in (f"--{key}", str(x))]
        self.kills: list[Kill] = []
        self.began = 0.0

    def start(self) -> None:
        """Go on from the newest checkpoint, or afresh where there is none."""
        how = ["--resume_from_checkpoint", "true"] if self.step else ["--overwrite_output_dir", "true"]
        self.began = time.time()
        self.process = SERVER.Process(target=_attempt, args=([*self.arguments, *how],))
        self.process.start()

    def kill_at(self, moment: Callable[["KilledRun"], None]) -> None:
        self.start()
        moment(self)
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9, "the run had ended before it was killed"
        self.kills.append(Kill(self.step, self.is_new(STAGING_FOLDER)))

    def finish(self) -> None:
        self.start()
        self.process.join()
        assert self.process.exitcode == 0

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds or the process has ended."""
        while not condition() and self.process.is_alive():
            time.sleep(POLL_SECONDS)

    @property
    def step(self) -> int:
        """Of the newest checkpoint; 0 where there is none. It gets its name when it is whole."""
        return max((int(path.name.split("-")[-1]) for path in self.folder.glob("checkpoint-*")), default=0)

    def is_new(self, name: str) -> bool:
        """Whether the present process wrote the file, or into the folder, of this name."""
        try:
            return (self.folder / name).stat().st_mtime > self.began
        except FileNotFoundError:
            return False


def _attempt(arguments: list[str]) -> None:
    """What a process does."""
    os.chdir(ROOT)
    tqdm.set_lock(threading.RLock())  # its own is one between processes, which each kill would leak
    with (Path(arguments[arguments.index("--output_dir") + 1] + ".log")).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    main(arguments)


@dataclass(frozen=True)
class Pace:
    """Seconds from a start to its first checkpoint, and from one checkpoint to the next."""

    first: float
    each: float


def measure_pace(run: KilledRun, checkpoints: int) -> Pace:
    """Let a run come to its end, once the server has imported everything."""
    server_is_up = SERVER.Process(target=os.getpid)
    server_is_up.start()
    server_is_up.join()
    run.start()
    run.wait(lambda: run.step > 0)
    first = time.time() - run.began
    run.process.join()
    assert run.process.exitcode == 0
    return Pace(first, (time.time() - run.began - first) / checkpoints)


def random_moments(pace: Pace, count: int, seed: int) -> Iterator[Callable[[KilledRun], None]]:
    """Some way to an attempt's first checkpoint or, for every second, from its first to its second.

    The way is random; and a kill comes at the next checkpoint at the latest, so that on no machine the run comes to its
    end before it was killed so many times: it needs 1.5 checkpoints for each.
    """
    draw = random.Random(seed)

    def moment(run: KilledRun, share: float, later: bool) -> None:
        if later:
            before = run.step
            run.wait(lambda: run.step > before)
        step, deadline = run.step, time.time() + share * (pace.each if later else pace.first)
        run.wait(lambda: run.step > step or time.time() > deadline)

    for number in range(count):
        share = draw.random()
        yield lambda run, share=share, later=number % 2 == 1: moment(run, share, later)  # type: ignore[misc]


def before_the_first_checkpoint(run: KilledRun) -> None:
    run.wait(lambda: run.is_new("manifest.json"))


def while_saving(run: KilledRun) -> None:
    run.wait(lambda: run.is_new(STAGING_FOLDER))


def after_the_last_evaluation(run: KilledRun) -> None:
    run.wait(lambda: run.is_new("adapter_config.json"))
