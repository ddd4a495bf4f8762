"""Prompts of token ids: rewards get texts, and a reward model on the policy's vocabulary the ids."""

import pytest
import torch
from peft import LoraConfig

from rlhf.generation import Generation
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import load_reward_model, new_reward_model
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards import FunctionReward
from rlhf.trainers.ppo.scoring import Scorer
from tests.tiny import save_tiny, tiny_causal_lm, tiny_tokenizer
from tests.trainers.ppo.setup import ppo_trainer, separate_roles

EOS = 2
PROMPT = [1, *tiny_tokenizer()("Film review:")["input_ids"]]
ANSWERS = [
    Generation(PROMPT, [*tiny_tokenizer()(" great")["input_ids"], EOS], [0.0] * 2, True),
    Generation(PROMPT, tiny_tokenizer()(" awful cast")["input_ids"], [0.0] * 2, False),
]
ROWS = [{"prompt": PROMPT}, {"prompt": PROMPT}]


def test_a_function_gets_texts_and_the_ids_beside_them():
    seen = {}

    def keep(prompts, completions, **columns):
        seen.update(columns, prompts=prompts, completions=completions)
        return [0.0] * len(prompts)

    Scorer(tiny_tokenizer(), rewards=[FunctionReward(keep)])(ROWS, ANSWERS)
    assert seen["prompts"] == ["Film review:"] * 2 and seen["completions"] == [" great", " awful cast"]
    assert seen["prompt_ids"] == [PROMPT] * 2 and seen["completion_ids"] == [one.response_ids for one in ANSWERS]


@torch.no_grad()
def test_a_reward_role_reads_the_ids_as_they_are(tmp_path):
    base = save_tiny(tmp_path / "base")
    reward = new_reward_model(ModelOptions(model_name_or_path=str(base)))
    for parameter in reward.parameters():
        if parameter.requires_grad:
            parameter.add_(0.1 * torch.randn_like(parameter))
    reward.save_pretrained(tmp_path / "reward", save_embedding_layers=False)
    tiny_tokenizer().save_pretrained(tmp_path / "reward")
    roles = SharedRoles.build(
        tiny_causal_lm(),
        reward_adapters=[str(tmp_path / "reward")],
        new_adapter=LoraConfig(r=4, target_modules="all-linear"),
    )
    scores = Scorer(tiny_tokenizer(), roles=roles)(ROWS, ANSWERS).total
    model = load_reward_model(str(tmp_path / "reward"))
    # The second came to no end, and is read as if it had.
    read = [[*PROMPT, *ANSWERS[0].response_ids], [*PROMPT, *ANSWERS[1].response_ids, EOS]]
    own = torch.stack([model(torch.tensor([ids])).logits[0, 0] for ids in read])
    assert scores.tolist() == pytest.approx(own.tolist(), abs=1e-4)


def test_ppo_trains_on_prompts_of_token_ids(tmp_path):
    trainer = ppo_trainer(tmp_path, separate_roles(), prompts=[PROMPT, [5, 6, 7]])
    trainer.train()
    assert trainer.episodes == 16
    assert trainer.state.log_history[0]["objective/kl"] == 0.0
