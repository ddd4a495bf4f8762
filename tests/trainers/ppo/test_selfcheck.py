"""`rlhf selfcheck` as it is typed: sound models pass, and unfit ones end with exit code 1 and the reason."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf.cli import main
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.trainers.ppo.selfcheck.evidence import FLOAT32, HALF, Measured, tolerances_of
from rlhf.trainers.ppo.selfcheck.registry import CHECKS, LEARNING
from rlhf.trainers.ppo.selfcheck.run import run_check
from rlhf.trainers.ppo.selfcheck.subject import Subject
from tests.tiny import save_tiny, tiny_causal_lm, tiny_tokenizer
from tests.trainers.ppo.broken import roles_of

ROOT = Path(__file__).parents[3]
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "pad_token_id": 0,
}


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base, and adapters of an SFT and a reward run on it, with weights of their own."""
    folder = tmp_path_factory.mktemp("selfcheck")
    base = save_tiny(folder / "base")
    torch.manual_seed(1)
    sft = get_peft_model(tiny_causal_lm(), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    sft.peft_config["default"].base_model_name_or_path = str(base)
    sft.save_pretrained(folder / "sft", save_embedding_layers=False)
    reward = new_reward_model(ModelOptions(str(base), adapter=str(folder / "sft")))
    with torch.no_grad():
        for parameter in reward.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    reward.save_pretrained(folder / "reward", save_embedding_layers=False)
    tiny_tokenizer().save_pretrained(folder / "reward")
    return folder


def selfcheck(**options):
    """The exit code of the command."""
    with pytest.raises(SystemExit) as caught:
        main(["selfcheck", *(word for name, value in options.items() for word in (f"--{name}", str(value)))])
    return caught.value.code or 0


def outcomes(shown):
    """The outcome of each check in the printed table."""
    found = {}
    for line in shown.splitlines():
        for check in [*CHECKS, LEARNING]:
            if line.startswith(f"{check.name}  "):
                rest = line[len(check.name) :].strip()
                found[check.name] = next(
                    o for o in ("passed", "failed", "not applicable", "not run") if rest.startswith(o)
                )
    return found


def test_a_sound_model_passes(folders, capsys):
    assert selfcheck(model_name_or_path=folders / "base") == 0
    shown = capsys.readouterr().out
    without_reward = {check.name for check in CHECKS if check.name.startswith("reward")}
    assert outcomes(shown) == {
        check.name: "not applicable" if check.name in without_reward else "passed" for check in CHECKS
    }
    assert "no reward model was given" in shown and "allowed" in shown
    assert "22 passed, 3 not applicable" in shown


def test_with_an_adapter_and_a_reward_on_the_same_base_every_check_applies(folders, capsys):
    assert selfcheck(adapter=folders / "sft", reward_model=folders / "reward") == 0
    assert set(outcomes(capsys.readouterr().out).values()) == {"passed"}


@pytest.mark.parametrize(("tuning", "left_out"), [("full", {"kept states"}), ("qlora", set())])
def test_other_tunings_pass(folders, capsys, tuning, left_out):
    assert selfcheck(model=folders / "base", tuning=tuning, reward_model=folders / "reward") == 0
    found = outcomes(capsys.readouterr().out)
    left_out = left_out | ({"reward: tokens", "reward: role"} if tuning == "full" else set())
    assert {name for name, outcome in found.items() if outcome == "not applicable"} == left_out
    assert {outcome for name, outcome in found.items() if name not in left_out} == {"passed"}


def test_bfloat16_has_tolerances_of_its_own(folders, capsys):
    assert selfcheck(model=folders / "base", dtype="bfloat16") == 0
    assert "allowed 0.6" in capsys.readouterr().out
    assert tolerances_of(torch.float32) is FLOAT32
    assert tolerances_of(torch.bfloat16) is tolerances_of(torch.float16) is HALF


@pytest.mark.parametrize(
    ("architecture", "options", "reason"),
    [
        ("cohere", {**SIZES, "logit_scale": 0.01, "eos_token_id": 2, "bos_token_id": 1}, "are not a linear function"),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}, "has no plain list of decoder layers"),
    ],
)
def test_an_architecture_that_ppo_cannot_use_fails_and_the_rest_is_not_run(
    tmp_path, capsys, architecture, options, reason
):
    config = AutoConfig.for_model(architecture, vocab_size=400, **options)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert selfcheck(model=tmp_path) == 1
    shown = capsys.readouterr().out
    found = outcomes(shown)
    assert found["roles"] == "failed" and found["pad token"] == "passed" and found["sampling"] == "not run"
    assert reason in shown and "Remedy: use " in shown


def test_a_tokenizer_without_a_token_for_padding_fails(folders, tmp_path, capsys):
    shutil.copytree(folders / "base", tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = tmp_path / "model" / name
        file.write_text(file.read_text().replace("<|endoftext|>", "<|other|>"))
    file = tmp_path / "model" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_token": "<|im_end|>"}))
    assert selfcheck(model=tmp_path / "model") == 1
    shown = capsys.readouterr().out
    assert outcomes(shown)["pad token"] == "failed"
    assert "no token that could stand for padding" in shown and "add_special_tokens" in shown


def test_a_reward_run_with_another_tokenizer_fails(folders, tmp_path, capsys):
    shutil.copytree(folders / "reward", tmp_path / "reward")
    other = tiny_tokenizer()
    other.chat_template = "{% for message in messages %}{{ message['content'] }}<|im_end|>{% endfor %}"
    other.save_pretrained(tmp_path / "reward")
    assert selfcheck(adapter=folders / "sft", reward_model=tmp_path / "reward") == 1
    shown = capsys.readouterr().out
    found = outcomes(shown)
    assert {name for name, outcome in found.items() if outcome == "failed"} == {"reward: tokens", "reward: role"}
    assert "otherwise than the reward model's" in shown


def test_a_reward_adapter_on_other_weights_than_its_own_fails(folders, tmp_path, capsys):
    """The base was trained on after the reward model: the adapter now means something else."""
    shutil.copytree(folders, tmp_path / "all")
    config = tmp_path / "all" / "reward" / "adapter_config.json"
    moved = str(tmp_path / "all" / "base")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": moved}))
    from rlhf.trainers.ppo.selfcheck.subject import Subject

    subject = Subject.load(ModelOptions(moved, dtype="float32"), str(tmp_path / "all" / "reward"), tmp_path)
    tiny_causal_lm(seed=5).save_pretrained(moved)
    result = run_check(subject, next(check for check in CHECKS if check.name == "reward: role"))
    assert result.outcome == "failed" and "means something else on the policy's base" in result.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "no/such/folder"}, "does not exist"),
        ({}, "No model was given"),
        ({"model": "BASE", "reward_model": "SFT"}, "not a reward model"),
        ({"model": "BASE", "adapter": "SFT", "tuning": "full"}, "merge it first"),
        ({"model": "BASE", "dtype": "int3"}, "int3"),
    ],
)
def test_a_wrong_input_ends_with_2(folders, capsys, options, message):
    names = {"BASE": folders / "base", "SFT": folders / "sft"}
    assert selfcheck(**{name: names.get(value, value) for name, value in options.items()}) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_thorough_sees_the_policy_learn(tmp_path):
    subject = Subject(tmp_path, tokenizer=tiny_tokenizer, roles=lambda: roles_of(tiny_causal_lm()))
    result = run_check(subject, LEARNING)
    assert result.outcome == "passed", result.reason
    assert " rose from " in result.note and " fell from " in result.note


def test_a_number_is_shown_with_what_it_may_be():
    assert str(Measured("largest difference", 3.2e-6, 1e-5, "", "")) == "largest difference 3e-06 (allowed 1e-05)"
    assert str(Measured("clip fraction", 0.0, 0.1, "", "")) == "clip fraction 0 (allowed 0.1)"


def test_the_document_lists_every_check_with_its_statement():
    document = (ROOT / "docs" / "selfcheck.md").read_text(encoding="utf-8")
    for check in [*CHECKS, LEARNING]:
        assert f"| {check.name} | {check.statement} |" in document
