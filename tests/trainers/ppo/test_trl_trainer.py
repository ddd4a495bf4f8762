"""What else scripts for TRL's PPO hand to the trainer or ask of it: optimizers, callbacks, samples, cards."""

import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback

from rlhf.errors import ConfigError
from tests.tiny import tiny_causal_lm, tiny_classifier
from tests.trainers.ppo.trl_setup import lora, train_in, trl_trainer


def test_a_scripts_optimizer_trains_all_and_its_schedule_counts_rollouts(tmp_path):
    model, value_model = tiny_causal_lm(), tiny_classifier(seed=2)
    optimizer = torch.optim.SGD([*model.parameters(), *value_model.parameters()], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda rollout: 0.5**rollout)
    trainer = trl_trainer(
        tmp_path,
        {"num_ppo_epochs": 3, "total_episodes": 12},
        model=model,
        value_model=value_model,
        optimizers=(optimizer, schedule),
    )
    head = trainer.roles.value_head.linear.weight.detach().clone()
    trainer.train()
    assert trainer.optimizer.optimizer is optimizer
    # 3 rollouts of 3 steps: the rate is halved after each rollout.
    assert [log["lr"] for log in trainer.state.log_history if "lr" in log] == [1.0, 0.5, 0.25]
    assert not torch.equal(trainer.roles.value_head.linear.weight, head)


def test_an_optimizer_that_leaves_parameters_out_is_refused(tmp_path):
    model, value_model = tiny_causal_lm(), tiny_classifier(seed=2)
    optimizer = torch.optim.SGD(value_model.parameters(), lr=1.0)
    with pytest.raises(ConfigError, match="policy: 29 of 29"):
        trl_trainer(tmp_path, model=model, value_model=value_model, optimizers=(optimizer, None))
    with pytest.raises(ConfigError, match="without its optimizer"):
        trl_trainer(tmp_path, optimizers=(None, object()))


class Counts(TrainerCallback):
    def __init__(self):
        self.steps, self.policies = 0, []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.steps += 1
        self.policies.append(model.policy)


def test_callbacks_see_the_policy_and_every_optimizer_step(tmp_path):
    counts = Counts()
    trainer = train_in(tmp_path, {"num_ppo_epochs": 3}, callbacks=[counts])
    assert counts.steps == 6 and counts.policies[0] is trainer.policy_model


def test_answers_with_brackets_are_shown_as_they_are(tmp_path, capsys):
    rows = Dataset.from_list([{"prompt": "a [/bold] b"}])
    shown = trl_trainer(tmp_path, eval_dataset=rows).generate_completions()
    assert [row["prompt"] for row in shown] == ["a [/bold] b"]
    assert "a [/bold] b" in capsys.readouterr().out


def test_a_trainer_without_held_out_prompts_has_nothing_to_show(tmp_path):
    assert trl_trainer(tmp_path).generate_completions() == []


def test_the_model_card_names_prompts_and_method(tmp_path):
    trainer = train_in(tmp_path, peft_config=lora())
    trainer.create_model_card(model_name="mine", dataset_name="some/prompts", tags="test")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "library_name: peft" in card and "- some/prompts" in card and "- test" in card
    assert "8 responses in 2 optimizer steps" in card


class Hub:
    """Stands for the hub: keeps what would have been sent."""

    def create_repo(self, name, **options):
        return type("Repository", (), {"repo_id": f"me/{name}"})()

    def upload_folder(self, **options):
        return options


def test_pushing_sends_the_policy_and_its_card(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.trainer.hf_api", Hub)
    sent = train_in(tmp_path / "run", peft_config=lora()).push_to_hub(dataset_name="some/prompts")
    assert sent["repo_id"] == "me/run" and sent["folder_path"] == str(tmp_path / "run")
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()
    assert "some/prompts" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
