"""recipes/grpo.py: TRL's trainer on PPO's terms."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file

from rlhf.rewards import load_reward
from rlhf.runs import read_metrics
from tests.recipes.conftest import manifest
from tests.recipes.online import WATCH, run, seen, write_prompts
from tests.tiny import save_tiny, tiny_causal_lm, tiny_tokenizer


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_prompts(tmp_path_factory.mktemp("prompts") / "prompts.jsonl")


def test_a_run_on_a_reward_model(prompts: str, sft_run: Path, reward_adapter: Path, tmp_path: Path) -> None:
    options = {"reward_model_path": reward_adapter, "reward_funcs": [WATCH], "reward_weights": [0.0]}
    logs = run("grpo", tmp_path, adapter=sft_run, dataset_name=prompts, eval_dataset_name=prompts, **options)

    # The reference is the adapter that training starts from.
    assert logs[0]["objective/kl"] == logs[0]["kl"] == 0 < logs[1]["objective/kl"]
    assert [row["episode"] for row in logs] == [8, 16]

    # The reward model scores a completion as PPO's does: ended, whether or not it was cut off.
    texts = {name: seen[0][name] for name in ("prompts", "completions")}
    scores = load_reward(str(reward_adapter))(**texts)
    assert not all(seen[0]["finished"])
    assert logs[0]["rewards/reward_model/mean"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)

    record = manifest(tmp_path)
    assert record["recipe"] == "grpo" and record["status"] == "finished"
    assert {Path(parent["path"]).name for parent in record["parents"]} == {"sft", "reward"}
    assert {"score", "kl", "response_length", "eval_score", "eval_kl", "episodes"} == set(record["summary"])
    assert (tmp_path / "plots" / "kl_to_the_reference.png").is_file()
    assert len(seen[-1]["prompts"]) == 8 and seen[-1]["topic"]  # one answer to each held-out prompt


def test_the_adapter_alone_is_saved_and_plain_peft_loads_it(prompts: str, sft_run: Path, tmp_path: Path) -> None:
    run("grpo", tmp_path, adapter=sft_run, dataset_name=prompts, reward_funcs=[WATCH])
    assert not (tmp_path / "ref").exists()
    weights, start = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path, sft_run))
    assert weights.keys() == start.keys() and any(not torch.equal(weights[name], start[name]) for name in weights)
    assert AutoPeftModelForCausalLM.from_pretrained(tmp_path).peft_config.keys() == {"default"}


def test_rewards_are_added_with_their_weights_and_the_penalty(prompts: str, base: str, tmp_path: Path) -> None:
    funcs = {"reward_funcs": ["lexicon", WATCH], "reward_weights": [2.0, 0.5], "missing_eos_penalty": 3.0}
    logs = run("grpo", tmp_path, model_name_or_path=base, dataset_name=prompts, **funcs)
    for row, rollout in zip(logs, seen, strict=True):
        lengths = [len(text) for text in rollout["completions"]]
        assert row[f"rewards/{WATCH}/mean"] == pytest.approx(sum(lengths) / 8)
        penalty = 3.0 * sum(not ended for ended in rollout["finished"]) / 8
        assert row["rewards/missing_eos_penalty/mean"] == pytest.approx(-penalty) and penalty > 0
        before = 2.0 * row["rewards/lexicon/mean"] + 0.5 * row[f"rewards/{WATCH}/mean"]
        assert row["objective/scores_before_penalty"] == pytest.approx(before, abs=1e-5)
        assert row["reward"] == pytest.approx(before - penalty, abs=1e-5)


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_any_end_of_turn_that_the_model_folder_names_ends_a_completion(form: str, tmp_path: Path) -> None:
    # The folder names 60 ends of turn, the pad token (0) among them, and would have all other tokens suppressed.
    model = tiny_causal_lm()
    model.generation_config.eos_token_id = list(range(60))
    model.generation_config.suppress_tokens = list(range(60, len(tiny_tokenizer())))
    save_tiny(tmp_path / "base")
    model.save_pretrained(tmp_path / "base")
    options = {"model_name_or_path": tmp_path / "base", "reward_funcs": [WATCH], "max_completion_length": 5}
    run("grpo", tmp_path / "run", dataset_name=write_prompts(tmp_path / "prompts.jsonl", form), **options)

    tokenizer = tiny_tokenizer()
    stops = set(range(1, 60))
    finished = [ended for rollout in seen for ended in rollout["finished"]]
    assert any(finished) and not all(finished)
    for rollout in seen:
        told = zip(rollout["completion_ids"], rollout["finished"], rollout["completions"], strict=True)
        for ids, ended, said in told:
            assert ended == (ids[-1] in stops) and not stops & set(ids[:-1])
            assert ended or len(ids) == 5
            text = tokenizer.decode(ids, skip_special_tokens=True)
            assert said == (text if form == "plain" else [{"role": "assistant", "content": text}])


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_the_policy_starts_at_its_reference_whatever_the_adapter(
    prompts: str, base: str, data: Path, tmp_path: Path, tuning: str
) -> None:
    """Neither dropout nor a base of 4 bits sets the policy apart from the reference before the first step."""
    from recipes.sft import main as train_sft

    files = ["--model_name_or_path", base, "--dataset_name", str(data / "sft.jsonl")]
    rest = ["--max_steps", "2", "--learning_rate", "1e-2", "--lora_dropout", "0.3", "--save_strategy", "no"]
    train_sft([*files, *rest, "--output_dir", str(tmp_path / "sft"), "--tuning", tuning])
    options = {"adapter": tmp_path / "sft", "tuning": tuning, "reward_funcs": [WATCH]}
    logs = run("grpo", tmp_path / "grpo", dataset_name=prompts, **options)
    assert logs[0]["kl"] == 0 < logs[1]["kl"]


def test_a_run_goes_on_exactly_in_a_later_epoch(prompts: str, sft_run: Path, tmp_path: Path) -> None:
    # 8 prompts, 4 in a rollout of two steps: an epoch has 4 steps. save_steps 5 falls on the end of a rollout, 6.
    options = {"adapter": sft_run, "dataset_name": prompts, "max_train_samples": 8, "reward_funcs": [WATCH]}
    options |= {"per_device_train_batch_size": 4, "steps_per_generation": 2, "max_steps": 8}
    options |= {"save_strategy": "steps", "save_steps": 5}
    whole = run("grpo", tmp_path / "whole", **options)
    run("grpo", tmp_path / "resumed", **options)
    assert (tmp_path / "resumed" / "checkpoint-6").is_dir()
    (tmp_path / "resumed" / "checkpoint-8").rename(tmp_path / "aside")
    resumed = run("grpo", tmp_path / "resumed", resume_from_checkpoint="true", **options)
    assert [row["step"] for row in resumed] == [row["step"] for row in whole] == [2, 4, 6, 8]
    for name in ("loss", "reward", "kl", "episode", "completions/mean_length"):
        assert resumed[-1][name] == pytest.approx(whole[-1][name], abs=1e-6), name
    assert len(manifest(tmp_path / "resumed")["resumed_from"]) == 1


def test_an_ensemble_of_reward_models(
    prompts: str, sft_run: Path, reward_adapter: Path, base: str, tmp_path: Path
) -> None:
    from rlhf.models.load import ModelOptions
    from rlhf.models.reward_model import new_reward_model

    new_reward_model(ModelOptions(base)).save_pretrained(tmp_path / "second")
    tiny_tokenizer().save_pretrained(tmp_path / "second")
    paths = [reward_adapter, tmp_path / "second"]
    options = {"reward_model_path": paths, "ensemble_reduction": "min", "reward_funcs": [WATCH]}
    logs = run("grpo", tmp_path / "run", adapter=sft_run, dataset_name=prompts, max_steps=1, **options)
    texts = {name: seen[0][name] for name in ("prompts", "completions")}
    scores = [min(pair) for pair in zip(*(load_reward(str(path))(**texts) for path in paths), strict=True)]
    assert logs[0]["rewards/reward_model/mean"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
    assert len(manifest(tmp_path / "run")["parents"]) == 3


def test_a_reward_may_leave_a_completion_to_the_others(prompts: str, base: str, tmp_path: Path) -> None:
    options = {"model_name_or_path": base, "dataset_name": prompts, "max_steps": 1}
    (row,) = run("grpo", tmp_path / "run", reward_funcs=["tests.recipes.online:odd"], **options)
    assert row["rewards/tests.recipes.online:odd/mean"] == 1.0


def test_options_that_change_the_distribution_are_warned_of(
    prompts: str, base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"model_name_or_path": base, "dataset_name": prompts, "reward_funcs": [WATCH], "max_steps": 1}
    (row,) = run("grpo", tmp_path, top_p=0.9, beta=0, **options)
    assert "Warning: responses are sampled with top_p 0.9" in capsys.readouterr().out
    assert "objective/kl" not in row and not (tmp_path / "ref").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "No reward is given"),
        ({"reward_funcs": ["no_such_module:function"]}, "no_such_module"),
        ({"reward_model_path": "nowhere/at/all"}, "nowhere/at/all"),
        ({"reward_funcs": ["lexicon"], "num_generations": 3}, "8 responses can't be divided into groups"),
        ({"reward_funcs": ["lexicon"], "num_generations": 1}, "num_generations is 1; it must be at least 2"),
        ({"reward_funcs": ["lexicon"], "temperature": 0}, "temperature is 0.0"),
        ({"reward_funcs": ["lexicon"], "beta": -1}, "beta is -1"),
        ({"reward_funcs": ["lexicon"], "per_device_train_batch_size": 64}, "has 16 prompts, fewer than the 32"),
        ({"reward_funcs": ["lexicon"], "max_completion_length": 511}, "prompts are longer"),
        ({"reward_funcs": ["lexicon"], "use_vllm": "true"}, "the package vllm"),
        ({"reward_funcs": ["lexicon"], "sync_ref_model": "true"}, "with tuning lora there is none"),
        ({"reward_funcs": ["lexicon"], "save_steps": 0.5}, "save_steps is a share of the run"),
        (
            {"reward_funcs": ["tests.recipes.online:odd"], "missing_eos_penalty": 1},
            "returned None for completion 0",
        ),
    ],
)
def test_what_a_user_can_get_wrong(
    prompts: str, base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], part: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("grpo", tmp_path / "run", dataset_name=prompts, model_name_or_path=base, **options)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert part in said and "Remedy:" in said and len(said.splitlines()) < 30


def test_metrics_hold_no_figure_without_a_value(prompts: str, base: str, tmp_path: Path) -> None:
    # Of a single held-out answer there is no standard deviation, and TRL logs None for it.
    options = {"eval_dataset_name": prompts, "max_eval_samples": 1, "per_device_eval_batch_size": 1, "max_steps": 1}
    run("grpo", tmp_path, model_name_or_path=base, dataset_name=prompts, reward_funcs=[WATCH], **options)
    (row,) = (row for row in read_metrics(tmp_path) if "eval_reward" in row)
    assert "eval_reward_std" not in row and None not in row.values()
