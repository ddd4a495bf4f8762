"""What sampling and scoring have computed of the frozen layers isn't computed again."""

import json
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel

from rlhf.generation import generate
from rlhf.models.load import ModelOptions
from rlhf.models.reward_model import new_reward_model
from rlhf.models.scoring import bare
from rlhf.models.shared_roles import SharedRoles
from rlhf.models.trunk import decoder_of
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.rollout import pad_generations
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.trainer import PPOTrainer
from tests.invariants.made import disturb, rows_of
from tests.tiny import save_tiny, tiny_causal_lm, tiny_tokenizer
from tests.trainers.ppo.setup import PROMPTS

LAYERS = 3


@pytest.fixture
def reward(tmp_path: Path) -> str:
    """A reward adapter that does something."""
    model = new_reward_model(ModelOptions(model_name_or_path=str(save_tiny(tmp_path / "base"))))
    disturb([parameter for parameter in model.parameters() if parameter.requires_grad], by=0.1)
    model.save_pretrained(tmp_path / "reward", save_embedding_layers=False)
    tiny_tokenizer().save_pretrained(tmp_path / "reward")
    return str(tmp_path / "reward")


def build(folder: Path, reward: str, layers: int | None = 1, dtype=torch.float32, sft: str | None = None) -> PPOTrainer:
    """8 prompts a rollout, scored by a reward role, from which the value role starts."""
    roles = SharedRoles.build(
        tiny_causal_lm().to(dtype),
        sft_adapter=sft,
        reward_adapters=[reward],
        new_adapter=LoraConfig(r=4, target_modules="all-linear"),
        policy_layers=layers,
        value_layers=layers,
    )
    disturb(roles.role_parameters()["policy"])
    tokenizer = tiny_tokenizer()
    args = PPOConfig(
        output_dir=str(folder),
        **trainer_defaults()
        | {"per_device_train_batch_size": 8, "response_length": 8, "total_episodes": 16, "save_strategy": "no"}
        | {"disable_tqdm": True, "local_rollout_forward_batch_size": 8},
    )
    prompts = Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS * 4])
    return PPOTrainer(roles, Scorer(tokenizer, roles=roles), args, tokenizer, prompts)


class Count:
    """Counts the forwards of a layer that see more than a token of each sequence."""

    def __init__(self, layer: torch.nn.Module):
        self.wide = 0
        layer.register_forward_pre_hook(self._see, with_kwargs=True)

    def _see(self, module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        self.wide += int(hidden.shape[1] > 1)


@torch.no_grad()
def test_states_kept_while_sampling_are_those_of_a_forward(tmp_path, reward):
    trainer = build(tmp_path, reward)
    rows = rows_of(trainer, 4)
    generations = trainer._answer(rows, seed=0, numbers=range(4))
    kept = pad_generations(generations, 0, trainer.roles.device)
    fresh = trainer.roles.run_trunk(kept.with_trunk({}))
    for row, one in enumerate(generations):
        start = int(kept.attention_mask[row].int().argmax())
        part = slice(start, start + len(one.prompt_ids) + len(one.response_ids) - 1)
        assert fresh.trunk["policy"][row, part].abs().max() > 0.01
        torch.testing.assert_close(kept.trunk["policy"][row, part], fresh.trunk["policy"][row, part], atol=1e-5, rtol=0)


@torch.no_grad()
def test_in_batches_of_any_size_and_order(tmp_path, reward):
    trainer = build(tmp_path, reward)
    prompts = [row["prompt"] for row in rows_of(trainer, 4)]
    options = {"max_new_tokens": 6, "seed": 3, "states_beneath": 1}
    with trainer.roles.sampling() as policy:
        together = generate(policy, trainer._tokenizer, prompts, **options)
        alone = generate(policy, trainer._tokenizer, prompts, batch_size=1, **options)
    for one, other in zip(together, alone, strict=True):
        assert one.response_ids == other.response_ids
        torch.testing.assert_close(one.states, other.states, atol=1e-5, rtol=0)


@torch.no_grad()
def test_states_left_by_the_reward_role_are_those_of_the_value_role(tmp_path, reward):
    trainer = build(tmp_path, reward)
    only_known_words(trainer)
    rows = rows_of(trainer)
    generations = trainer._answer(rows, seed=0, numbers=range(8))
    sequences = pad_generations(generations, 0, trainer.roles.device).with_trunk({})
    fresh = trainer.roles.run_trunk(sequences).trunk["value"]
    states = trainer.scorer(rows, generations).value_states
    assert len(states) == 8 and fresh.abs().max() > 0.01
    for row, one in enumerate(states):
        torch.testing.assert_close(one, fresh[row][sequences.attention_mask[row]], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_response_that_its_text_writes_in_other_tokens_leaves_none(tmp_path, reward):
    trainer = build(tmp_path, reward)
    (answer,) = trainer._answer(rows_of(trainer, 1), seed=0, numbers=[0])
    word = trainer._tokenizer(" great")["input_ids"]
    letters = [trainer._tokenizer.convert_tokens_to_ids(token) for token in ("Ġ", "g", "r", "e", "a", "t")]
    for ids, known in ((word, True), (letters, False)):
        answer.response_ids = ids
        answer.finished = False
        (states,) = trainer.scorer(rows_of(trainer, 1), [answer]).value_states
        assert (states is not None) == known


def test_a_rollout_with_them_is_the_rollout_without(tmp_path, reward):
    rollouts = []
    for again in (False, True):
        trainer = build(tmp_path, reward)
        half_in_other_tokens(trainer)
        trainer._rollouts_made = 1  # from the second rollout on, sampling is trusted
        if again:
            trainer._run_roles = without_states(trainer)
        rollouts.append(trainer.roll_out(rows_of(trainer)))
    with_states, fresh = rollouts
    assert torch.equal(with_states.sequences.input_ids, fresh.sequences.input_ids)
    for name in ("logprobs", "values", "advantages", "returns"):
        torch.testing.assert_close(getattr(with_states, name), getattr(fresh, name), atol=1e-4, rtol=1e-4)


def without_states(trainer: PPOTrainer):
    run = trainer._run_roles

    def forgetful(sequences, sampled, scores):
        scores.value_states = [None] * len(scores.value_states)
        return run(sequences.with_trunk({}), sampled, scores)

    return forgetful


@pytest.mark.parametrize(("layers", "expected"), [(1, 3), (None, 5)])
def test_the_lowest_layer_runs_for_prompts_reward_and_probe_only(tmp_path, reward, layers, expected):
    # With nothing kept it also runs for reference and value; the policy's own forward is spared either way.
    trainer = build(tmp_path, reward, layers)
    trainer._rollouts_made = 1
    only_known_words(trainer)
    count = Count(decoder_of(bare(trainer.roles.model)).layers[0])
    trainer.roll_out(rows_of(trainer))
    assert count.wide == expected


@pytest.mark.parametrize("layers", [1, 2])
def test_in_bfloat16_a_rollout_with_them_is_the_rollout_without_up_to_rounding(tmp_path, reward, layers):
    rollouts = []
    for again in (False, True):
        trainer = build(tmp_path, reward, layers, torch.bfloat16)
        half_in_other_tokens(trainer)
        if again:
            trainer._run_roles = without_states(trainer)
        rollouts.append(trainer.roll_out(rows_of(trainer)))
        assert trainer._rounded_states_hold and not trainer._sampling_is_exact
        with torch.no_grad():  # what is learned on is what was read
            output = trainer.roles(rollouts[-1].sequences)
        torch.testing.assert_close(output.logprobs, rollouts[-1].logprobs, atol=1e-5, rtol=1e-5)
    with_states, fresh = rollouts
    assert torch.equal(with_states.sequences.input_ids, fresh.sequences.input_ids)
    assert not torch.equal(with_states.sequences.trunk["policy"], fresh.sequences.trunk["policy"])
    for name in ("logprobs", "values"):
        torch.testing.assert_close(getattr(with_states, name), getattr(fresh, name), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("wrong", ["shifted", "of other texts"])
def test_states_that_are_more_than_rounded_are_made_anew(tmp_path, reward, wrong):
    trainer = build(tmp_path, reward, 1, torch.bfloat16)
    answer = trainer._answer

    def spoiled(*args, **options):
        generations = answer(*args, **options)
        states = [one.states for one in generations]
        for one, other in zip(generations, states[1:] + states[:1], strict=True):
            one.states = one.states.roll(1, 0) if wrong == "shifted" else other[: len(one.states)]
        return generations

    trainer._answer = spoiled
    rollout = trainer.roll_out(rows_of(trainer))
    assert trainer._rounded_states_hold is False
    fresh = trainer.roles.run_trunk(rollout.sequences.with_trunk({})).trunk["policy"]
    mask = rollout.sequences.attention_mask
    torch.testing.assert_close(rollout.sequences.trunk["policy"][mask], fresh[mask], atol=0.05, rtol=0.05)


def test_in_bfloat16_a_resumed_run_spares_the_same_forwards(tmp_path, reward):
    trainer = build(tmp_path, reward, 1, torch.bfloat16)
    trainer.roll_out(rows_of(trainer))
    resumed = build(tmp_path, reward, 1, torch.bfloat16)
    resumed.load_loop_state(json.loads(json.dumps(trainer.loop_state())))
    resumed._probe_states = None  # is not asked again
    resumed.roles.load_state_dict(trainer.roles.state_dict())
    ours, expected = resumed.roll_out(rows_of(resumed)), trainer.roll_out(rows_of(trainer))
    assert torch.equal(ours.sequences.trunk["policy"], expected.sequences.trunk["policy"])
    for name in ("logprobs", "values", "advantages", "returns"):
        assert torch.equal(getattr(ours, name), getattr(expected, name))


def test_in_bfloat16_they_are_not_kept_above_an_adapter_that_is_merged(tmp_path, reward):
    shape = LoraConfig(r=4, target_modules="all-linear")
    PeftModel(tiny_causal_lm(), shape).save_pretrained(tmp_path / "sft")
    trainer = build(tmp_path, reward, 1, torch.bfloat16, sft=str(tmp_path / "sft"))
    assert trainer.roles.depth_above_sampled_states is None
    assert build(tmp_path, reward, 1, sft=str(tmp_path / "sft")).roles.depth_above_sampled_states == 1


def only_known_words(trainer: PPOTrainer) -> None:
    """Let the reward role read the very tokens that were drawn, as it does where people's language is written."""
    trainer.scorer._as_read = lambda row, one, completion: [*one.prompt_ids, *one.response_ids]


def half_in_other_tokens(trainer: PPOTrainer) -> None:
    """Of the responses, let the reward role read every other one as it was drawn, and the others a token short."""
    counted = iter(range(100))

    def read(row, one, completion):
        ids = [*one.prompt_ids, *one.response_ids]
        return ids if next(counted) % 2 else ids[:-1]

    trainer.scorer._as_read = read
