"""recipes/rloo.py: TRL's trainer on PPO's terms. What it shares with GRPO is tested in test_grpo.py."""

from pathlib import Path

import pytest
from peft import AutoPeftModelForCausalLM

from rlhf.data.chat import prompt_ids
from rlhf.models.load import ModelOptions, load_causal_lm
from rlhf.models.scoring import sequence_logprobs
from tests.recipes.conftest import manifest
from tests.recipes.online import WATCH, run, seen, write_prompts
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_prompts(tmp_path_factory.mktemp("prompts") / "prompts.jsonl")


def test_the_kl_is_that_of_ppo(prompts: str, base: str, sft_run: Path, tmp_path: Path) -> None:
    """0 to the SFT adapter before the first step; then the mean of the log-ratios, summed over each response."""
    options = {"save_strategy": "steps", "save_steps": 1, "temperature": 0.7, "eval_dataset_name": prompts}
    logs = run("rloo", tmp_path, adapter=sft_run, dataset_name=prompts, reward_funcs=[WATCH], **options)
    assert logs[0]["objective/kl"] == logs[0]["kl"] == 0

    tokenizer, second = tiny_tokenizer(), seen[1]
    sequences = [
        (prompt_ids(tokenizer, prompt), ids)
        for prompt, ids in zip(second["prompts"], second["completion_ids"], strict=True)
    ]
    policy, reference = (
        sequence_logprobs(
            load_causal_lm(ModelOptions(base), adapter=str(adapter)), sequences, pad_token_id=0, temperature=0.7
        )
        for adapter in (tmp_path / "checkpoint-1", sft_run)
    )
    ratios = [sum(ours) - sum(theirs) for ours, theirs in zip(policy, reference, strict=True)]
    assert logs[1]["objective/kl"] == pytest.approx(sum(ratios) / len(ratios), abs=1e-4) and abs(sum(ratios)) > 1
    assert {"score", "kl", "response_length", "eval_score", "eval_kl", "episodes"} == set(manifest(tmp_path)["summary"])


def test_a_run_on_a_reward_model(prompts: str, sft_run: Path, reward_adapter: Path, tmp_path: Path) -> None:
    options = {"reward_model_path": reward_adapter, "reward_model_weight": 2.0, "missing_eos_penalty": 1.0}
    logs = run("rloo", tmp_path, adapter=sft_run, dataset_name=prompts, **options)
    for row in logs:
        assert row["objective/scores_before_penalty"] == pytest.approx(2 * row["rewards/reward_model/mean"], abs=1e-5)
        assert row["reward"] == pytest.approx(
            row["objective/scores_before_penalty"] + row["rewards/missing_eos_penalty/mean"], abs=1e-5
        )
    assert {Path(parent["path"]).name for parent in manifest(tmp_path)["parents"]} == {"sft", "reward"}
    assert AutoPeftModelForCausalLM.from_pretrained(tmp_path).peft_config.keys() == {"default"}


def test_full_parameters(prompts: str, base: str, tmp_path: Path) -> None:
    logs = run("rloo", tmp_path, model_name_or_path=base, tuning="full", dataset_name=prompts, reward_funcs=[WATCH])
    assert logs[0]["kl"] == 0 != logs[1]["kl"] and (tmp_path / "model.safetensors").is_file()


def test_a_run_goes_on_exactly(prompts: str, sft_run: Path, tmp_path: Path) -> None:
    options = {"adapter": sft_run, "dataset_name": prompts, "reward_funcs": [WATCH], "max_steps": 4}
    options |= {"num_iterations": 2, "save_strategy": "steps", "save_steps": 1}
    whole = run("rloo", tmp_path / "whole", **options)
    run("rloo", tmp_path / "resumed", **options)
    (tmp_path / "resumed" / "checkpoint-4").rename(tmp_path / "aside")
    resumed = run("rloo", tmp_path / "resumed", resume_from_checkpoint="true", **options)
    # Two epochs over each rollout: 8 responses for two steps.
    assert [(row["step"], row["episode"]) for row in resumed] == [(2, 8), (4, 16)]
    for name in ("loss", "reward", "kl"):
        assert resumed[-1][name] == pytest.approx(whole[-1][name], abs=1e-6), name


@pytest.mark.parametrize(
    ("options", "part"),
    [({"num_generations": 3}, "can't be divided into groups"), ({"sync_ref_model": "true"}, "there is none")],
)
def test_what_a_user_can_get_wrong(
    prompts: str, base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, object], part: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(
            "rloo",
            tmp_path / "run",
            model_name_or_path=base,
            dataset_name=prompts,
            reward_funcs=["lexicon"],
            **options,
        )
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and part in said and "Remedy:" in said
