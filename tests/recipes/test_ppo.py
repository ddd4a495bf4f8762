"""The PPO recipe: its run directory, its rewards, and what a user can get wrong."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from recipes.ppo import main
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.rewards import load_reward
from rlhf.runs import read_metrics
from tests.recipes.conftest import write_jsonl
from tests.recipes.online import WATCH, seen
from tests.tiny import save_tiny, tiny_causal_lm, tiny_tokenizer

SMALL = {"total_episodes": "8", "per_device_train_batch_size": "4", "response_length": "6", "num_ppo_epochs": "1"}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> str:
    rows = [{"prompt": f"Film review: {word}", "topic": word} for word in ("A", "The", "This", "One")] * 4
    return str(write_jsonl(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows))


def run(folder, **options) -> None:
    given = SMALL | {"output_dir": str(folder)} | {name: str(value) for name, value in options.items()}
    main([word for name, value in given.items() for word in (f"--{name}", *value.split(" | "))])


@pytest.fixture(scope="module")
def reward_run(base, data, sft_run, tmp_path_factory) -> Path:
    from recipes.reward import main as train_reward

    folder = tmp_path_factory.mktemp("rewards") / "reward"
    words = ["--adapter", str(sft_run), "--dataset_name", str(data / "preference.jsonl"), "--output_dir", str(folder)]
    train_reward([*words, "--max_steps", "2", "--per_device_train_batch_size", "4", "--save_strategy", "no"])
    return folder


def test_a_run_on_a_reward_adapter(prompts, sft_run, reward_run, tmp_path, capsys):
    options = {"adapter": sft_run, "reward_model_path": reward_run, "policy_layers": 2, "eval_dataset_name": prompts}
    run(tmp_path / "ppo", dataset_name=prompts, **options)
    assert "trainable parameters" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "ppo" / "manifest.json").read_text())
    assert manifest["summary"]["episodes"] == 8
    assert {Path(parent["path"]).name for parent in manifest["parents"]} == {"sft", "reward"}
    metrics = [json.loads(line) for line in (tmp_path / "ppo" / "metrics.jsonl").read_text().splitlines()]
    named = {"objective/kl", "objective/scores", "policy/approxkl_avg", "val/ratio", "episode", "lr", "loss/value_avg"}
    assert named <= set(metrics[0]) and metrics[0]["objective/kl"] == 0
    assert any("eval_objective/scores" in row for row in metrics)
    PeftModel.from_pretrained(tiny_causal_lm(), str(tmp_path / "ppo"))


def test_rewards_by_name_with_weights_on_the_bare_base(prompts, base, tmp_path):
    run(
        tmp_path / "ppo",
        dataset_name=prompts,
        model_name_or_path=base,
        reward_funcs="lexicon | tests.trainers.ppo.setup:count_a",
        reward_weights="1.0 | 0.5",
    )
    assert json.loads((tmp_path / "ppo" / "manifest.json").read_text())["status"] == "finished"


def test_an_ensemble_of_two_reward_roles_and_a_model_of_its_own(prompts, base, sft_run, reward_run, tmp_path):
    other = str(save_tiny(tmp_path / "other", seed=1))
    paths = [str(reward_run), str(tmp_path / "second"), str(tmp_path / "third")]
    for path, origin in zip(paths[1:], (base, other), strict=True):
        new_reward_model(ModelOptions(origin)).save_pretrained(path)
        tiny_tokenizer().save_pretrained(path)
    options = {"reward_model_path": " | ".join(paths), "reward_model_weight": 2.0, "reward_funcs": WATCH}
    options |= {"ensemble_reduction": "uncertainty", "ensemble_uncertainty_coef": 0.5, "reward_weights": 0.0}
    seen.clear()
    run(tmp_path / "ppo", adapter=sft_run, dataset_name=prompts, **options)

    texts = {name: seen[0][name] for name in ("prompts", "completions")}
    scores = torch.tensor([load_reward(path)(**texts) for path in paths])
    expected = (scores.mean(0) - 0.5 * ((scores - scores.mean(0)) ** 2).mean(0)).mean().item()
    first = next(row for row in read_metrics(tmp_path / "ppo") if "objective/scores" in row)
    assert first["rewards/reward_model/mean"] == pytest.approx(expected, abs=1e-4)
    assert first["objective/scores"] == pytest.approx(2 * expected, abs=2e-4)


def test_everything_beside_the_plain_algorithm_at_once(prompts, base, data, sft_run, reward_run, tmp_path):
    run(
        tmp_path / "ppo",
        dataset_name=prompts,
        eval_dataset_name=prompts,
        adapter=sft_run,
        reward_model_path=reward_run,
        token_reward_funcs="tests.trainers.ppo.test_variants:each_token",
        token_reward_weights="0.1",
        judges="lexicon",
        ptx_dataset_name=data / "sft.jsonl",
        ptx_coef=0.5,
        ptx_batch_size=4,
        sync_ref_model=True,
        ref_model_sync_steps=1,
        value_warmup_rollouts=1,
        use_score_scaling=True,
        use_score_norm=True,
        score_clip=2,
        total_episodes=16,
        eval_strategy="steps",
        eval_steps=1,
    )
    metrics = read_metrics(tmp_path / "ppo")
    trained = [row for row in metrics if "objective/kl" in row]
    assert len(trained) == 4 and "loss/ptx" not in trained[0] and all(row["loss/ptx"] > 0 for row in trained[1:])
    assert {"rewards/reward_model/mean", "rewards/tests.trainers.ppo.test_variants:each_token/mean"} <= set(trained[0])
    assert all("eval_judges/lexicon/mean" in row for row in metrics if "eval_objective/kl" in row)
    samples = [json.loads(line) for line in (tmp_path / "ppo" / "samples.jsonl").read_text().splitlines()]
    assert {row["step"] for row in samples} == {1, 2, 3, 4} and all("lexicon" in row for row in samples)


def test_full_parameters(prompts, base, tmp_path):
    run(tmp_path / "ppo", dataset_name=prompts, model_name_or_path=base, tuning="full", reward_funcs="lexicon")
    assert (tmp_path / "ppo" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "No reward is given"),
        ({"reward_funcs": "no_such_module:function"}, "no_such_module"),
        ({"reward_funcs": "lexicon", "reward_weights": "1.0 | 2.0"}, "2 reward_weights"),
        ({"reward_funcs": "lexicon", "temperature": "0"}, "temperature"),
        ({"reward_funcs": "lexicon", "target_kl": "0"}, "target_kl"),
        ({"reward_funcs": "lexicon", "kl_budget": "0"}, "kl_budget is 0"),
        ({"reward_funcs": "lexicon", "top_p": "0.9"}, "leave it out, and lower temperature"),
        ({"reward_funcs": "lexicon", "judges": "lexicon"}, "there are none"),
        ({"reward_funcs": "lexicon", "ptx_coef": "1.0"}, "no texts to mix in"),
        ({"reward_funcs": "lexicon", "token_reward_weights": "1.0"}, "1 token_reward_weights"),
        ({"token_reward_funcs": "no_such_module:function"}, "no_such_module"),
        ({"reward_funcs": "lexicon", "stop_token_id": "99999"}, "stop_token_id"),
        ({"reward_funcs": "lexicon", "per_device_train_batch_size": "64"}, "fewer than"),
        ({"reward_funcs": "lexicon", "response_length": "511"}, "prompts are longer"),
        ({"reward_funcs": "lexicon", "policy_layers": "9"}, "policy_layers is 9"),
        ({"reward_model_path": "nowhere/at/all"}, "nowhere/at/all"),
        ({"reward_model_path": "nowhere/at/all", "ensemble_reduction": "min"}, "needs several reward models"),
    ],
)
def test_what_a_user_can_get_wrong(prompts, base, tmp_path, capsys, options, part):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "ppo", dataset_name=prompts, model_name_or_path=base, **options)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert part in said and "Remedy:" in said and len(said.splitlines()) < 30
