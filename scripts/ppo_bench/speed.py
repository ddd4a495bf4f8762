"""Speed and memory: every side on the same workloads, in turns."""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ppo_bench import figures, machine, processes, release, report
from ppo_bench.options import workload_of
from ppo_bench.turns import TurnTaker, in_turns
from ppo_bench.workload import TRL, Workload, by_micro_batch_size, scaled
from rlhf.data import load_rows
from rlhf.models.folders import check_model_folder
from rlhf.runs import folder_fingerprint


class Bench:
    """What all modes share: the sides, what they are given, and where the results go."""

    def __init__(self, options: argparse.Namespace, scratch: Path, console: Console):
        self.options = options
        self.scratch = scratch
        self.console = console
        self.rollouts = options.warmup + options.steps
        self.trl_folder = release.install(options.bench_dir) if TRL in options.variants else None
        self.machine: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}

    def prepare(self, workloads: Sequence[Workload]) -> list[Workload]:
        """Have prompts and the reward model made; returns the workloads with the precision that `auto` stands for."""
        model = self.options.model_name_or_path
        self.console.print("Preparing prompts and reward model", highlight=False)
        spec = {
            "model": model,
            "workload": workloads[0].as_json(),
            "folder": str(self.scratch),
            "longest_response": max(workload.response_length for workload in workloads),
            "dataset_name": self.options.dataset_name,
            # One batch more than is used: at the end of its data TRL makes optimizer steps of another size.
            "prompts": (self.rollouts + 1) * max(workload.batch_size for workload in workloads),
        }
        found = processes.run("prepare", spec)
        self.machine = machine.describe(found["threads"], found["gpu"])
        self.settings = {
            "model": model,
            "model_fingerprint": folder_fingerprint(model),
            "dataset": self.options.dataset_name,
            "distinct_prompts": found["distinct_prompts"],
            "layers": found["layers"],
            "layers_of_the_top_third": max(found["layers"] // 3, 1),
            **{name: getattr(self.options, name) for name in ("rounds", "warmup", "steps")},
            "versions": {},
            "own_options": {},
        }
        return [replace(workload, dtype=found["dtype"]) for workload in workloads]

    def measure(self, workload: Workload, variant: str, on_rollout: Callable[[], None]) -> dict[str, Any]:
        """One process: a side on a workload."""
        spec = {
            "model": self.options.model_name_or_path,
            "reward": str(self.scratch / "reward"),
            "prompts": str(self.scratch / "prompts.json"),
            "workload": workload.as_json(),
            "variant": variant,
            "warmup": self.options.warmup,
            "steps": self.options.steps,
        }
        program, ahead = ("trl_ppo", self.trl_folder) if variant == TRL else ("ours", None)
        found = processes.run(program, spec, ahead=[ahead] if ahead else [], on_rollout=on_rollout)
        self.settings["versions"][variant] = found.pop("versions")
        self.settings["own_options"][variant] = found.pop("own_options")
        return found

    def compare(self, name: str, workloads: Sequence[Workload], *, keep_going: bool = False) -> list[dict[str, Any]]:
        """Take turns over the workloads. After every process the file holds what is measured so far."""
        taker = TurnTaker(self.measure, self.rollouts, self.console, keep_going=keep_going)
        turns = in_turns(workloads, self.options.variants, self.options.rounds)

        def found() -> list[dict[str, Any]]:
            return [figures.compare(workload, runs) for workload, runs in taker.runs.items() if runs]

        heading = f"\n[bold]{name}[/bold]: {len(turns)} processes of {self.rollouts} rollouts"
        self.console.print(heading, highlight=False)
        taker.take(turns, after_each=lambda: self.write(name, complete=False, comparisons=found()))
        self.write(name, complete=True, comparisons=found())
        return found()

    def write(self, name: str, **content: Any) -> None:
        report.write(self.options.json, name, report.section(self.machine, self.settings, **content))


def run(options: argparse.Namespace, console: Console) -> None:
    """Check what can be checked before anything is loaded, then measure.

    Raises:
        RlhfError: the options, the model or the prompts can't be used, or a process failed.
    """
    workload = workload_of(options)
    workloads = [workload, *by_micro_batch_size(workload, options.best)]
    if options.scaling:
        workloads = scaled(workload, options.lengths, options.batches)
    check_model_folder(options.model_name_or_path)
    load_rows(options.dataset_name, "prompts")
    with tempfile.TemporaryDirectory(prefix="bench-ppo-") as scratch:
        bench = Bench(options, Path(scratch), console)
        prepared = bench.prepare(workloads)
        if options.scaling:
            measure_scaling(bench, prepared)
        else:
            measure_headline(bench, *prepared)


def measure_headline(bench: Bench, workload: Workload, *by_size: Workload) -> None:
    """Equal settings; beside them, where asked for, natural ends and each side at its fastest."""
    bench.console.print(report.sides_table(*bench.compare("headline", [workload])))
    if bench.options.natural_eos:
        natural = replace(workload, natural_eos=True)
        bench.console.print(report.sides_table(*bench.compare("natural_eos", [natural])))
    if by_size:
        comparisons = bench.compare("best", by_size, keep_going=True)
        best = figures.best(comparisons)
        bench.write("best", complete=True, comparisons=comparisons, best=best)
        bench.console.print(report.best_table(best))


def measure_scaling(bench: Bench, workloads: Sequence[Workload]) -> None:
    """Longer responses and larger batches. A side that runs out of memory there is shown as that."""
    bench.console.print(report.scaling_table(bench.compare("scaling", workloads, keep_going=True)))
