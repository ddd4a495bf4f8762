"""The benchmark against TRL: its arithmetic by hand, its parts, and whole runs on a tiny model."""

import csv
import functools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_ppo
import psutil
import pytest
import torch
from ppo_bench import equal_kl, equal_kl_stages, figures, processes, release, report
from ppo_bench.options import parse, workload_of
from ppo_bench.turns import Turn, in_turns, seconds_left, shown
from ppo_bench.workload import OURS, THIRD, TRL, Workload, by_micro_batch_size, scaled
from rich.console import Console
from transformers import AutoModelForSequenceClassification

from rlhf.config import parse as parse_recipe
from rlhf.errors import ConfigError, DataError, RlhfError
from rlhf.models.load import load_tokenizer
from rlhf.models.reward_model import load_reward_model
from rlhf.trainers.machine import trainer_defaults
from tests.recipes.conftest import short, write_jsonl
from tests.test_configs import options_of
from tests.tiny import save_tiny

WORDS = ["great", "gorgeous", "funny", "moving", "good", "best"]
SMALL = Workload(batch_size=8, micro_batch_size=4, rollout_batch_size=8, prompt_tokens=4, response_length=6)


def run_of(variant: str, number: int, *seconds: float, memory: int = 100, steps: int = 2) -> dict[str, Any]:
    """A run whose rollouts took so long: half of it training, a quarter sampling, the rest in equal parts."""
    rows = [
        {"seconds": s, "generate": s / 4, "score": s / 8, "forward": s / 8, "train": s / 2}
        | {"optimizer_steps": steps, "response_tokens": 6.0}
        for s in seconds
    ]
    return {"variant": variant, "round": number, "steps": rows, "peak_memory_bytes": memory}


# Figures


def test_medians_and_ratios_worked_by_hand() -> None:
    # All rollouts of ours: 1, 2, 4, 4, 8 -> median 4; of TRL: 10, 20, 30, 40 -> 25.
    runs = [
        run_of(OURS, 1, 1.0, 4.0, 8.0, memory=100),
        run_of(TRL, 1, 10.0, 20.0, memory=400),
        run_of(TRL, 2, 30.0, 40.0, memory=500),
        run_of(OURS, 2, 2.0, 4.0, memory=125),
    ]
    found = figures.compare(replace(SMALL, batch_size=100, micro_batch_size=50), runs)
    ours, trl = found["variants"][OURS], found["variants"][TRL]
    assert ours["samples_per_second"] == 25.0 and trl["samples_per_second"] == 4.0
    assert trl["seconds"] == {"total": 25.0, "generate": 6.25, "score": 3.125, "forward": 3.125, "train": 12.5}
    assert ours["seconds_range"] == [1.0, 8.0] and ours["rollouts"] == 5
    assert ours["peak_memory_bytes"] == 125 and ours["peak_gpu_memory_bytes"] is None
    ratio = found["ratios"]["ours/trl"]
    assert found["ratios"].keys() == {"ours/trl"}
    assert ratio["samples_per_second"] == 6.25 and ratio["peak_memory"] == 0.25 and ratio["peak_gpu_memory"] is None
    assert ratio["seconds"] == dict.fromkeys(("total", "generate", "score", "forward", "train"), 0.16)
    # Round 1: 15 / 4; round 2: 35 / 3.
    assert ratio["samples_per_second_by_round"] == [3.75, pytest.approx(35 / 3)]


def test_each_side_at_its_best_and_a_side_without_memory() -> None:
    small = figures.compare(SMALL, [run_of(OURS, 1, 4.0), run_of(TRL, 1, 10.0)])
    failed = {"variant": TRL, "round": 1, "failed": "killed"}
    large = figures.compare(replace(SMALL, micro_batch_size=8), [run_of(OURS, 1, 2.0), failed])
    assert large["variants"][TRL] == {"failed": "killed"} and large["ratios"] == {}
    found = figures.best([small, large])
    assert found["micro_batch_size"] == {OURS: 8, TRL: 4}
    assert found["ratios"]["ours/trl"]["samples_per_second"] == 5.0
    console = Console(width=100, record=True)
    console.print(report.scaling_table([small, large]), report.best_table(found), report.sides_table(small))
    said = console.export_text()
    assert "out of memory" in said and "5.00x" in said and "4 tokens" in said


def test_other_work_is_found_out() -> None:
    ours = run_of(OURS, 1, 1.0)
    assert figures.differences(SMALL, run_of(TRL, 1, 9.0), ours) == []
    assert "8" in figures.differences(SMALL, run_of(TRL, 1, 9.0, steps=8), ours)[0]
    longer = replace(SMALL, response_length=7)
    assert "not 7" in figures.differences(longer, run_of(TRL, 1, 9.0), ours)[0]
    assert figures.differences(replace(longer, natural_eos=True), run_of(TRL, 1, 9.0), ours) == []


def test_equal_kl_over_seeds_worked_by_hand() -> None:
    def curve(reached: float, *gains: float | None) -> dict[str, Any]:
        at = [{"kl": kl, "gain": gain, "ci95": None} for kl, gain in zip((5.0, 9.0), gains, strict=True)]
        return {"points": [{"policy": "p", "kl": reached, "gain": 1.0}], "at": at}

    reports = {
        0: {"equal_kl": {"ours-0": curve(10.0, 1.0, 1.5), "trl-0": curve(6.0, 0.5, None)}},
        7: {"equal_kl": {"ours-7": curve(12.0, 2.0, 2.5), "trl-7": curve(10.0, 1.0, 1.25)}},
    }
    found = equal_kl.collect(reports, [OURS, TRL])
    assert found["kl_targets"] == [5.0, 9.0]
    ours, trl = found["variants"][OURS], found["variants"][TRL]
    assert [one["mean"] for one in ours["at"]] == [1.5, 2.0] and ours["kl_reached"] == 11.0
    assert [one["mean"] for one in trl["at"]] == [0.75, None]
    assert trl["at"][1]["by_seed"] == {"0": None, "7": 1.25}
    console = Console(width=100, record=True)
    console.print(report.equal_kl_table(found))
    said = console.export_text()
    assert "1.50 (1.00 to 2.00)" in said and "not reached" in said
    with pytest.raises(RlhfError, match="same reward"):
        equal_kl.collect({0: {"equal_kl": {}}}, [OURS])


# Turns


def test_another_side_begins_each_round() -> None:
    turns = in_turns([SMALL], [OURS, THIRD, TRL], 2)
    assert [turn.variant for turn in turns] == [OURS, THIRD, TRL, THIRD, TRL, OURS]
    assert [turn.round for turn in turns] == [1, 1, 1, 2, 2, 2]


def test_time_left_is_taken_from_what_is_nearest() -> None:
    longer = replace(SMALL, response_length=12)
    turns = [Turn(SMALL, OURS, 2), Turn(longer, OURS, 1), Turn(longer, TRL, 1)]
    assert seconds_left(turns, {}) is None
    # The same turn took 10 and 20; that side elsewhere the same; of TRL's only the mean of all is known.
    assert seconds_left(turns, {(SMALL, OURS): [10.0, 20.0]}) == 45.0
    assert seconds_left(turns, {(SMALL, OURS): [10.0], (longer, OURS): [30.0], (SMALL, TRL): [80.0]}) == 120.0
    assert [shown(x) for x in (None, 12.4, 300.0, 4800.0)] == ["?", "12 s", "5 min", "1 h 20 min"]


def test_workloads_of_the_modes() -> None:
    sizes = [(w.batch_size, w.micro_batch_size, w.response_length) for w in scaled(SMALL, [6, 12], [2, 8, 16])]
    assert sizes == [(8, 4, 6), (8, 4, 12), (2, 2, 6), (16, 4, 6)]
    assert [w.micro_batch_size for w in by_micro_batch_size(SMALL, [2, 8])] == [2, 8]
    options = SMALL.ppo_options(rollouts=3)
    assert options["gradient_accumulation_steps"] == 2 and options["total_episodes"] == 24
    with pytest.raises(ConfigError, match="no multiple of micro_batch_size 3"):
        by_micro_batch_size(SMALL, [3])


# What both sides are given


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny"))


def test_prompts_of_one_length(model: str) -> None:
    from ppo_bench.prepare import fixed_prompts

    tokenizer = load_tokenizer(model)
    texts = [
        "Film review: A gorgeous film",
        "Film",
        "Film review: The plot is thin",
        [{"role": "user", "content": "x"}],
    ]
    prompts = fixed_prompts(tokenizer, texts, tokens=3, count=5)
    assert {len(tokenizer(prompt)["input_ids"]) for prompt in prompts} == {3}
    assert all(any(str(text).startswith(prompt) for text in texts) for prompt in prompts)
    assert len(prompts) == 5 and prompts[0] == prompts[len(set(prompts))]
    with pytest.raises(DataError, match="No prompt has 90 tokens"):
        fixed_prompts(tokenizer, texts, tokens=90, count=1)


def test_the_reward_adapter_computes_what_a_whole_classifier_does(model: str, tmp_path: Path) -> None:
    from ppo_bench.prepare import write_reward_adapter
    from safetensors.torch import load_file

    write_reward_adapter(model, replace(SMALL, dtype="float32"), tmp_path)
    whole: Any = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1).eval()
    head = load_file(tmp_path / "adapter_model.safetensors")["base_model.model.score.weight"]
    whole.score.weight.data.copy_(head)
    adapter = load_reward_model(str(tmp_path), dtype="float32", device="cpu")
    ids = torch.arange(3, 23).view(2, 10)
    with torch.no_grad():
        theirs, ours = whole(input_ids=ids).logits, adapter(input_ids=ids).logits
    assert torch.equal(ours, theirs) and ours.std() > 0


# The parts


def test_a_changed_file_of_the_release_is_found(tmp_path: Path) -> None:
    (tmp_path / "trl").mkdir()
    (tmp_path / "trl" / "ppo.py").write_text("abc")
    info = tmp_path / "trl-1.12.0.dist-info"
    assert release.changed_files(tmp_path) == ["no trl-1.12.0.dist-info/RECORD"]
    info.mkdir()
    with (info / "RECORD").open("w", newline="") as file:
        # The checksum of "abc" in RECORD's form: sha256, urlsafe base64 without its padding.
        csv.writer(file).writerow(["trl/ppo.py", "sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", "3"])
        csv.writer(file).writerow(["trl-1.12.0.dist-info/RECORD", "", ""])
    assert release.changed_files(tmp_path) == []
    (tmp_path / "trl" / "ppo.py").write_text("abd")
    assert release.changed_files(tmp_path) == ["trl/ppo.py"]


def test_peak_memory_is_of_the_program_alone() -> None:
    # This process has torch loaded and is larger than the program that it starts.
    program = "from ppo_bench.child import peak_memory; x = b'1' * 2**27; print(peak_memory())"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=processes.environment()
    )
    assert 2**27 < int(result.stdout) < 2**27 + 2**26


def test_a_program_that_fails_shows_its_last_lines() -> None:
    with pytest.raises(processes.ChildFailed, match="ended with exit code 1") as caught:
        processes.run("nothing_of_that_name", {})
    assert "No module named ppo_bench.nothing_of_that_name" in caught.value.problems[-1]
    assert not caught.value.out_of_memory


def test_what_a_lack_of_memory_looks_like() -> None:
    killed = processes.failure("ours", -9, [])
    assert killed.out_of_memory and "SIGKILL" in killed.message
    assert processes.failure("ours", 1, ["torch.OutOfMemoryError: CUDA out of memory."]).out_of_memory
    assert not processes.failure("ours", 1, ["out of memory", *["a later line"] * 20]).out_of_memory


def test_sections_are_kept_and_other_files_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.write(path, "headline", {"complete": True})
    report.write(path, "scaling", {"complete": False})
    assert json.loads(path.read_text()) == {
        "schema": 1,
        "headline": {"complete": True},
        "scaling": {"complete": False},
    }
    path.write_text("[]")
    with pytest.raises(ConfigError, match="not a report"):
        report.read(path)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--model_name_or_path", "no/such/folder"], "does not exist"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--batch_size", "9", "--micro_batch_size", "4"], "no multiple"),
        (["--equal_kl", "--sft", "no/such/run"], "no run in no/such/run"),
        (["--equal_kl"], "scripts/demo.sh"),
    ],
)
def test_what_a_user_can_get_wrong(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        bench_ppo.main(arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and part in said and "Remedy:" in said


def test_the_options_describe_the_workload() -> None:
    given = ["--batch_size", "8", "--micro_batch_size", "4", "--rollout_batch_size", "8", "--prompt_tokens", "4"]
    options = parse("", [*given, "--response_length", "6", "--ours_only"])
    assert workload_of(options) == SMALL and options.variants == [OURS, THIRD]
    assert workload_of(parse("", [])) == Workload() and parse("", []).variants == [OURS, THIRD, TRL]


# Equal KL, without running it


@pytest.fixture
def plan(model: str, tmp_path: Path) -> equal_kl.EqualKl:
    for name in ("sft", "reward"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": model}))
        (tmp_path / name / "adapter_model.safetensors").write_bytes(b"weights")
    prompts = write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": f"Film review: {i}"} for i in range(64)])
    return equal_kl.EqualKl(
        sft=tmp_path / "sft",
        reward=tmp_path / "reward",
        gold=tmp_path / "gold",
        prompts=str(prompts),
        eval_prompts=str(prompts),
        output_dir=tmp_path,
        variants=[OURS, THIRD, TRL],
        seeds=[3],
        episodes=1024,
        points=4,
        num_prompts=8,
        dtype="float32",
        trl_folder=tmp_path / "trl-1.12.0",
        ours_options={"num_mini_batches": 2, "learning_rate": 1e-4},
        third_options={"learning_rate": 7e-4},
    )


def test_the_recipes_accept_what_they_are_given(plan: equal_kl.EqualKl) -> None:
    stages = {stage.name: stage for stage in equal_kl_stages.all_stages(plan)}
    assert list(stages) == ["whole-models", "ours-3", "ours_third-3", "trl-3", "trl-3-whole", "evaluate-3"]
    for name, recipe in (("ours-3", "ppo"), ("ours_third-3", "ppo"), ("evaluate-3", "evaluate")):
        program = stages[name].command
        assert Path(program[1]).name == f"{recipe}.py"
        found = parse_recipe(*options_of(recipe), argv=program[2:], defaults=trainer_defaults())
        options = {key: value for part in found for key, value in vars(part).items()}
        # Of three layers all, though the shipped configuration says six for the value role; or a third.
        depth, rate = {"ours-3": (3, 1e-4), "ours_third-3": (1, 7e-4)}.get(name, (None, None))
        assert recipe == "evaluate" or {options["policy_layers"], options["value_layers"]} == {depth}
        assert recipe == "evaluate" or options["learning_rate"] == rate
    # 1024 responses in rollouts of 16 x 2 are 32 of 2 steps; a quarter of them lies between two policies.
    assert equal_kl_stages.our_checkpoints(plan, OURS) == [16, 32, 48, 64]
    assert equal_kl_stages.trl_checkpoints(plan) == [8, 16, 24, 32]
    assert stages["trl-3"].ahead == [plan.trl_folder]
    assert options["curves"]["trl-3"] == [f"trl-3-{step}" for step in (8, 16, 24, 32)]
    assert options["policies"]["trl-3-8"] == str(plan.output_dir / "whole" / "trl-3" / "checkpoint-8")


@pytest.mark.parametrize(("asked", "layers"), [(None, 1), (2, 2), (9, 3)])
def test_the_shallower_side_trains_as_many_layers_as_it_is_told_but_no_more_than_there_are(plan, asked, layers) -> None:
    plan = replace(plan, top_layers=asked)
    assert equal_kl_stages.depths(plan, THIRD) == {"policy_layers": layers, "value_layers": layers}
    assert equal_kl_stages.depths(plan, OURS) == {"policy_layers": 3, "value_layers": 3}
    title = "top third, seed 3" if asked is None else f"top {asked} layers, seed 3"
    assert equal_kl_stages.our_training(plan, THIRD, 3).title == title


def test_fewer_rollouts_than_points(plan: equal_kl.EqualKl) -> None:
    with pytest.raises(ConfigError, match="4 points can't be had from 3 rollouts"):
        equal_kl_stages.all_stages(replace(plan, episodes=96))


def test_too_few_prompts_for_a_rollout(plan: equal_kl.EqualKl, tmp_path: Path) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", [{"prompt": "Film review:"}])
    with pytest.raises(ConfigError, match="has 1 prompts"):
        equal_kl.check(plan.sft, plan.reward, str(few))


# Whole runs


@pytest.fixture(scope="module")
def small(model: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments of the smallest measurement."""
    rows = [{"prompt": f"Film review: A {word} film"} for word in WORDS]
    prompts = write_jsonl(tmp_path_factory.mktemp("data") / "prompts.jsonl", rows)
    sizes = {name: getattr(SMALL, name) for name in ("batch_size", "micro_batch_size", "rollout_batch_size")}
    sizes |= {"prompt_tokens": 4, "response_length": 6, "rounds": 1, "warmup": 1, "steps": 2}
    words = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    return ["--model_name_or_path", model, "--dataset_name", str(prompts), *words]


@pytest.fixture(scope="module")
def trl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where TRL 1.12.0 was installed."""
    folder = tmp_path_factory.mktemp("bench")
    installed = release.install(folder)
    before = installed.stat().st_mtime_ns
    assert release.install(folder) == installed and installed.stat().st_mtime_ns == before
    return folder


def check_comparison(found: dict[str, Any], *variants: str) -> None:
    """Every figure is there and follows from the raw rollouts."""
    assert list(found["variants"]) == list(variants)
    assert [run["variant"] for run in found["runs"]] == list(variants)
    for run in found["runs"]:
        side = found["variants"][run["variant"]]
        first, second = run["steps"]  # the warm-up is not among them
        assert side["seconds"]["total"] == pytest.approx((first["seconds"] + second["seconds"]) / 2)
        assert side["samples_per_second"] == pytest.approx(8 / side["seconds"]["total"])
        for step in run["steps"]:
            assert min(step[name] for name in figures.PHASES) > 0
            assert sum(step[name] for name in figures.PHASES) == pytest.approx(step["seconds"])
        # Two epochs of one optimizer step, whatever the micro-batches.
        assert side["optimizer_steps"] == 2
        assert 2**27 < side["peak_memory_bytes"] < 2**33


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ours_alone(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    bench_ppo.main([*small, "--ours_only", "--best", "8", "--json", str(file)])
    said = capsys.readouterr().out
    assert "top third / ours" in said and "fastest micro-batch" in said and str(file) in said
    content = json.loads(file.read_text())
    headline = content["headline"]
    assert headline["complete"] and headline["machine"]["cores"] >= 1 and headline["machine"]["threads"] >= 1
    assert headline["settings"]["own_options"][THIRD]["policy_layers"] == 1
    assert headline["settings"]["own_options"][OURS]["policy_layers"] == 3
    (comparison,) = headline["comparisons"]
    check_comparison(comparison, OURS, THIRD)
    assert comparison["workload"]["dtype"] in ("float32", "bfloat16")
    ours, third = comparison["variants"].values()
    ratio = comparison["ratios"]["ours_third/ours"]["samples_per_second"]
    assert ratio == pytest.approx(third["samples_per_second"] / ours["samples_per_second"])
    assert content["best"]["best"]["micro_batch_size"] == {OURS: 8, THIRD: 8}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ours_and_trl(small: list[str], trl_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    bench_ppo.main([*small, "--natural_eos", "--bench_dir", str(trl_folder), "--json", str(file)])
    content = json.loads(file.read_text())
    versions = content["headline"]["settings"]["versions"]
    assert versions[TRL]["trl"] == "1.12.0" and versions[OURS]["trl"] != "1.12.0"
    assert versions[TRL]["transformers"] == versions[OURS]["transformers"]
    (comparison,) = content["headline"]["comparisons"]
    check_comparison(comparison, OURS, THIRD, TRL)
    assert {side["response_tokens"] for side in comparison["variants"].values()} == {6.0}
    assert comparison["ratios"].keys() == {"ours/trl", "ours_third/trl", "ours_third/ours"}
    (natural,) = content["natural_eos"]["comparisons"]
    check_comparison(natural, OURS, THIRD, TRL)
    assert all(1 <= side["response_tokens"] <= 6 for side in natural["variants"].values())


@pytest.fixture(scope="module")
def runs(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of the SFT and the reward recipe, and prompts."""
    from recipes.reward import main as train_reward
    from recipes.sft import main as train_sft

    folder = tmp_path_factory.mktemp("runs")
    prompt = "Film review:"
    examples = [{"prompt": prompt, "completion": f" a {word} film"} for word in WORDS * 2]
    pairs = [{"prompt": prompt, "chosen": f" a {word} film", "rejected": " an awful, dull film"} for word in WORDS * 2]
    write_jsonl(folder / "sft.jsonl", examples)
    write_jsonl(folder / "pairs.jsonl", [pair | {"margin": 0.5, "agreement": 0.9} for pair in pairs])
    write_jsonl(folder / "prompts.jsonl", [{"prompt": f"{prompt} {WORDS[i % 6]} {i}"} for i in range(70)])
    files = {"sft": "sft.jsonl", "reward": "pairs.jsonl"}
    words = {
        name: ["--dataset_name", str(folder / file), "--output_dir", str(folder / name)] for name, file in files.items()
    }
    train_sft(["--model_name_or_path", model, *words["sft"], *short(4, learning_rate=1e-2)])
    train_reward(["--adapter", str(folder / "sft"), *words["reward"], *short(4, learning_rate=1e-2)])
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_equal_kl_of_all_sides(runs: Path, trl_folder: Path, tmp_path: Path) -> None:
    prompts, file = str(runs / "prompts.jsonl"), tmp_path / "bench.json"
    given = ["--sft", str(runs / "sft"), "--reward", str(runs / "reward"), "--gold", str(tmp_path / "none")]
    given += ["--dataset_name", prompts, "--eval_dataset_name", prompts, "--num_prompts", "16"]
    given += ["--episodes", "64", "--curve_points", "1", "--bench_dir", str(trl_folder), "--json", str(file)]
    given += ["--output_dir", str(tmp_path / "out"), "--trl_options", '{"learning_rate": 1e-2}']
    bench_ppo.main(["--equal_kl", *given])
    found = json.loads(file.read_text())["equal_kl"]
    assert found["complete"] and found["kl_targets"] == [5.0, 9.0]
    assert list(found["variants"]) == [OURS, THIRD, TRL]
    policies = {name: [p["policy"] for p in side["points"]["0"]] for name, side in found["variants"].items()}
    assert policies == {OURS: ["ours-0-4"], THIRD: ["ours_third-0-4"], TRL: ["trl-0-2"]}
    assert all(stage["wall_seconds"] > 0 for stage in found["stages"].values())
    # Its adapter was trained on the folded base, and evaluated so: two steps at a high rate have moved it.
    assert found["variants"][TRL]["kl_reached"] > 0.1


@pytest.mark.timeout(120)
def test_an_interrupt_ends_what_is_being_measured(small: list[str]) -> None:
    program = [sys.executable, str(Path(bench_ppo.__file__)), *small, "--ours_only"]
    bench = psutil.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=processes.environment(),
        # A shell's background jobs ignore interrupts, and hand that on to what they start.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    measured: list[psutil.Process] = []
    while not measured and bench.poll() is None:
        measured = [child for child in bench.children() if "ppo_bench.prepare" in child.cmdline()]
        time.sleep(0.5)
    bench.send_signal(signal.SIGINT)
    said = bench.communicate(timeout=60)[1]
    assert measured and bench.returncode == 130 and "Interrupted." in said and "Traceback" not in said
    assert not psutil.wait_procs(measured, timeout=10)[1]
