"""Scripts for TRL 1.12's PPO, run with their import line changed and nothing else: real training of tiny models."""

import inspect
import json
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM

import rlhf
from rlhf.models.scoring import sequence_logprobs
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.trainers.ppo.trl_setup import (
    OUR_IMPORT,
    SCRIPT,
    TEXTS,
    THEIR_IMPORT,
    token_prompts,
    trl_trainer,
)

RESPONSES = [([5, 6, 7], [20, 21, 22]), ([8, 9], [30, 31])]


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    """A policy, a reward model and prompts in three forms, as a script finds them on a disk."""
    folder = tmp_path_factory.mktemp("assets")
    tiny_causal_lm().save_pretrained(folder / "policy")
    tiny_classifier(seed=1).save_pretrained(folder / "reward")
    for part in ("policy", "reward"):
        tiny_tokenizer().save_pretrained(folder / part)
    prompts = {
        "tokenized": [{"text": text} for text in TEXTS],
        "plain": [{"prompt": text} for text in TEXTS],
        "chat": [{"prompt": [{"role": "user", "content": text}]} for text in TEXTS],
    }
    for form, rows in prompts.items():
        Dataset.from_list(rows).to_json(folder / f"{form}.jsonl")
    return folder


def run_script(assets: Path, folder: Path, form: str, lora: bool) -> dict:
    """The script's variables at its end."""
    for part in assets.iterdir():
        (folder / part.name).symlink_to(part)
    assert SCRIPT.count(THEIR_IMPORT) == 1
    variables = {"FOLDER": folder, "FORM": form, "LORA": lora}
    exec(compile(SCRIPT.replace(THEIR_IMPORT, OUR_IMPORT), "script.py", "exec"), variables)
    return variables


def logprobs(model) -> torch.Tensor:
    return torch.tensor([x for row in sequence_logprobs(model, RESPONSES, pad_token_id=0) for x in row])


def same_weights(one, other) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize(
    ("form", "lora"), [("tokenized", True), ("tokenized", False), ("plain", False), ("chat", True)]
)
def test_a_script_runs_with_its_import_changed(assets, tmp_path, form, lora):
    ran = run_script(assets, tmp_path, form, lora)
    trainer, out = ran["trainer"], tmp_path / "out"

    # 16 episodes are 2 rollouts of 8, each of 3 epochs of 2 minibatches; every rollout is logged.
    assert trainer.state.global_step == 3 * 2 * 2
    logs = [log for log in trainer.state.log_history if "objective/kl" in log]
    assert [log["episode"] for log in logs] == [8, 16]
    assert logs[0]["objective/kl"] == 0.0 and logs[1]["objective/kl"] != 0.0

    # What was saved loads with plain transformers or PEFT, and is the policy that was trained.
    plain = AutoModelForCausalLM.from_pretrained(assets / "policy" if lora else out)
    saved = PeftModel.from_pretrained(plain, str(out)) if lora else plain
    torch.testing.assert_close(logprobs(saved.eval()), logprobs(trainer.policy_model), atol=1e-5, rtol=1e-5)
    assert (logprobs(trainer.policy_model) - logprobs(tiny_causal_lm())).abs().max() > 0.01

    # Reward model and reference are as they were; the values have moved.
    assert same_weights(trainer.reward_model, tiny_classifier(seed=1))
    reference = trainer.policy_model.unload() if lora else trainer.ref_model
    assert same_weights(reference, tiny_causal_lm())
    assert not same_weights(trainer.value_model.model, tiny_classifier(seed=1).model)

    # One showing in all falls on the first of the 2 rollouts, 6 steps each; the script asked for one more at its end.
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sample["step"] for sample in samples] == [6] * 4 + [12] * 4
    assert samples[0]["prompt"].endswith("Film review: A") and isinstance(samples[0]["score"], float)

    # What TRL computed is filled in on the script's own object.
    args = ran["training_args"]
    assert (args.world_size, args.batch_size, args.local_batch_size, args.micro_batch_size) == (1, 8, 8, 2)
    assert (args.mini_batch_size, args.local_mini_batch_size, args.num_total_batches) == (4, 4, 2)


def test_the_constructor_has_trls_arguments_in_their_order():
    assert list(inspect.signature(rlhf.PPOTrainer.__init__).parameters)[1:] == [
        "args",
        "processing_class",
        "model",
        "ref_model",
        "reward_model",
        "train_dataset",
        "value_model",
        "data_collator",
        "eval_dataset",
        "optimizers",
        "callbacks",
        "peft_config",
    ]


def test_evaluation_and_checkpoints_fall_on_the_rollouts_that_were_named(tmp_path):
    options = {
        "total_episodes": 16,
        "num_ppo_epochs": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 3,
    }
    trainer = trl_trainer(tmp_path, options, eval_dataset=token_prompts(4))
    trainer.train()
    assert [log["step"] for log in trainer.state.log_history if "eval_objective/kl" in log] == [4, 8]
    # The Trainer saves at the end too.
    assert sorted(folder.name for folder in tmp_path.glob("checkpoint-*")) == ["checkpoint-6", "checkpoint-8"]


def test_public_names_are_loaded_when_asked_for():
    assert {"PPOConfig", "PPOTrainer"} <= set(dir(rlhf)) & set(rlhf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'PPO'"):
        _ = rlhf.PPO
