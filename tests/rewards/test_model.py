"""A reward model as a reward: the tokens it sees, and that neither order nor padding changes a score."""

from pathlib import Path

import pytest
import torch

from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.rewards import load_reward
from rlhf.rewards.model import ModelReward
from tests.tiny import save_tiny, tiny_classifier, tiny_tokenizer

PROMPTS = ["Film review:", "Film review: A", "", "Film review:"]
COMPLETIONS = [" great", " gorgeous, moving film with a great cast", "one two three", " awful"]
EOS = 2


@pytest.fixture(scope="module")
def reward() -> ModelReward:
    return ModelReward(tiny_classifier(), tiny_tokenizer(), batch_size=3)


def test_scores_are_those_of_single_texts_in_their_order(reward: ModelReward) -> None:
    scores = reward(PROMPTS, COMPLETIONS)
    single = [reward([prompt], [completion])[0] for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert scores == pytest.approx(single, abs=1e-5) and len(set(scores)) == 4


def test_padding_changes_nothing(reward: ModelReward) -> None:
    ids = torch.tensor([reward.token_ids("Film review:", " great")])
    padded = torch.nn.functional.pad(ids, (0, 5), value=0)
    mask = (torch.arange(padded.shape[1]) < ids.shape[1])[None]
    torch.testing.assert_close(reward.score_ids(padded, mask), reward.score_ids(ids, torch.ones_like(ids)))


def test_equal_texts_are_run_once(reward: ModelReward, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    score = reward.score_ids
    monkeypatch.setattr(reward, "score_ids", lambda ids, mask: (sizes.append(len(ids)), score(ids, mask))[1])
    first, second, other = reward(["p", "p", "p"], ["a", "a", "b"])
    assert sizes == [2] and first == second != other


def test_every_text_ends_with_eos_once(reward: ModelReward) -> None:
    whole = reward.token_ids("Film review:", " great")
    assert whole[-1] == EOS and whole.count(EOS) == 1
    assert reward.token_ids("Film review:", " great<|im_end|>") == whole
    assert EOS in reward.token_ids([], [{"role": "assistant", "content": "great"}])


def test_a_run_directory_is_a_reward(tmp_path: Path) -> None:
    base = str(save_tiny(tmp_path / "base"))
    torch.manual_seed(0)
    model = new_reward_model(ModelOptions(base)).eval()
    model.config.pad_token_id = 0
    model.save_pretrained(tmp_path / "run")
    loaded = load_reward(str(tmp_path / "run"), batch_size=2)
    expected = ModelReward(model, tiny_tokenizer())(PROMPTS, COMPLETIONS)
    assert loaded(PROMPTS, COMPLETIONS) == pytest.approx(expected, abs=1e-5)
