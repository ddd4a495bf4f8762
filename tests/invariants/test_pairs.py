"""Invariants 4 and 12: what is learned from pairs begins at ln 2, and a reward model scores the same wherever it is."""

import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification
from trl import DPOConfig, RewardConfig, RewardTrainer

from rlhf.data import to_dataset
from rlhf.data.rows import Row
from rlhf.models.adapters import active_adapter
from rlhf.models.export import merge_adapter
from rlhf.models.load import ModelOptions, load_causal_lm, load_tokenizer, train_in_float32
from rlhf.models.reward_model import load_reward_model, new_reward_model
from rlhf.models.scoring import pad_sequences, sequence_logprobs
from rlhf.models.shared_roles import SharedRoles
from rlhf.rewards.model import ModelReward
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.pair_lengths import LengthGroupedDPOTrainer
from rlhf.trainers.reward import PreferenceRewardConfig, PreferenceRewardTrainer, preference_loss
from tests.invariants.made import disturb
from tests.tiny import save_tiny, tiny_classifier, tiny_tokenizer

LN_2 = math.log(2)
PROMPTS = ["Film review:", "Film review: A", "You", "Film review:"]
PAIRS = [
    Row({"prompt": "Film review:", "chosen": " great", "rejected": " awful, one two three"}),
    Row({"prompt": "Film review: A", "chosen": " gorgeous, moving film with a great cast", "rejected": " dull"}),
    Row({"prompt": "You", "chosen": " are a helpful assistant", "rejected": " one"}),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """A base, and an SFT adapter that makes another model of it."""
    folder = tmp_path_factory.mktemp("pairs")
    base = str(save_tiny(folder / "base"))
    sft = load_causal_lm(ModelOptions(base), trainable=True)
    disturb([p for p in sft.parameters() if p.requires_grad], by=0.2)
    sft.save_pretrained(folder / "sft")
    tiny_tokenizer().save_pretrained(folder / "sft")
    return folder


# --- 4. DPO begins at ln 2 with margins of 0; so does a reward model, and a margin costs its softplus ----------------


def dpo_trainer(folders: Path, output: Path, **options) -> LengthGroupedDPOTrainer:
    """As recipes/dpo.py builds it."""
    model = load_causal_lm(ModelOptions(str(folders / "base")), adapter=str(folders / "sft"), trainable=True)
    trainer = LengthGroupedDPOTrainer(
        model=model,
        args=DPOConfig(output_dir=str(output), **(trainer_defaults() | options)),
        train_dataset=to_dataset(PAIRS, "preference"),
        eval_dataset=to_dataset(PAIRS, "preference"),
        processing_class=load_tokenizer(str(folders / "sft")),
    )
    train_in_float32(trainer.model)
    return trainer


def reference_logps(trainer: LengthGroupedDPOTrainer) -> dict[str, list[float]]:
    """The live reference's log-probabilities of the chosen and of the rejected responses."""
    batch = trainer.data_collator(list(trainer.train_dataset))
    chosen, rejected = trainer.compute_ref_log_probs(trainer.model, batch)
    return {"ref_chosen_logps": chosen.tolist(), "ref_rejected_logps": rejected.tolist()}


@pytest.mark.parametrize("precomputed", [False, True])
def test_dpo_begins_at_ln_2_with_margins_of_0(folders, tmp_path, precomputed):
    figures = dpo_trainer(folders, tmp_path, precompute_ref_log_probs=precomputed).evaluate()
    assert figures["eval_loss"] == pytest.approx(LN_2, abs=1e-6)
    for name in ("chosen", "rejected", "margins"):
        assert figures[f"eval_rewards/{name}"] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("precomputed", [False, True])
def test_dpo_after_a_step_of_the_policy_has_the_loss_worked_out_from_the_log_ratios(folders, tmp_path, precomputed):
    trainer = dpo_trainer(folders, tmp_path, precompute_ref_log_probs=precomputed, beta=0.3)
    disturb([p for p in trainer.model.parameters() if p.requires_grad], by=0.05)
    tokenizer, sft = (
        tiny_tokenizer(),
        PeftModel.from_pretrained(load_causal_lm(ModelOptions(str(folders / "base"))), folders / "sft"),
    )

    def log_ratio(pair: Row, name: str) -> float:
        prompt = tokenizer(pair["prompt"])["input_ids"]
        response = tokenizer(pair["prompt"] + pair[name] + tokenizer.eos_token)["input_ids"][len(prompt) :]
        ours, theirs = (
            sum(sequence_logprobs(model, [(prompt, response)], pad_token_id=0)[0])
            for model in (trainer.model, sft.eval())
        )
        return ours - theirs

    margins = [0.3 * (log_ratio(pair, "chosen") - log_ratio(pair, "rejected")) for pair in PAIRS]
    expected = sum(math.log(1 + math.exp(-margin)) for margin in margins) / len(PAIRS)
    figures = trainer.evaluate()
    assert abs(expected - LN_2) > 0.01
    assert figures["eval_loss"] == pytest.approx(expected, abs=1e-4)
    assert figures["eval_rewards/margins"] == pytest.approx(sum(margins) / len(PAIRS), abs=1e-4)


def test_precomputed_reference_logprobs_equal_live_ones_and_are_the_adapters(folders, tmp_path):
    live = reference_logps(dpo_trainer(folders, tmp_path))
    precomputed = dpo_trainer(folders, tmp_path, precompute_ref_log_probs=True)
    for name, expected in live.items():
        assert list(precomputed.train_dataset[name]) == pytest.approx(expected, abs=1e-4)
        assert list(precomputed.eval_dataset[name]) == pytest.approx(expected, abs=1e-4)
    with active_adapter(precomputed.model, None):
        batch = precomputed.data_collator(list(precomputed.train_dataset))
        bare, _ = precomputed.compute_ref_log_probs(precomputed.model.base_model, batch)
    assert (bare - torch.tensor(live["ref_chosen_logps"])).abs().max() > 0.1


def reward_loss(folder: Path, pairs: list[Row], **options) -> float:
    """Of a reward model whose head is zeroed, so that all responses score the same."""
    model = tiny_classifier()
    torch.nn.init.zeros_(model.score.weight)
    trainer = PreferenceRewardTrainer(
        model=model,
        args=PreferenceRewardConfig(output_dir=str(folder), **(trainer_defaults() | options)),
        train_dataset=to_dataset(pairs, "preference"),
        processing_class=tiny_tokenizer(),
    )
    batch = trainer.data_collator(list(trainer.train_dataset))
    return trainer.compute_loss(trainer.model, batch).item()


def test_a_reward_model_with_a_zeroed_head_begins_at_ln_2(tmp_path):
    assert reward_loss(tmp_path, PAIRS) == pytest.approx(LN_2)


@pytest.mark.parametrize(
    # softplus(m) = ln(1 + e^m)
    ("margin", "scale", "expected"),
    [(0.5, 3.0, 1.7014133), (0.5, 1.0, 0.9740770), (0.5, 0.0, 0.6931472)],
)
def test_at_equal_rewards_a_margin_costs_its_softplus(tmp_path, margin, scale, expected):
    pairs = [Row(pair | {"margin": margin}) for pair in PAIRS]
    assert reward_loss(tmp_path, pairs, margin_scale=scale) == pytest.approx(expected, abs=1e-6)
    even, apart, agreed = torch.tensor([0.3]), torch.tensor([margin * scale]), torch.tensor([1.0])
    assert preference_loss(even, even, apart, agreed, "ignore").item() == pytest.approx(expected, abs=1e-6)


# --- 12. A reward model gives the same scores trained, loaded, merged and as a role ----------------------------------

COMPLETIONS = [" great", " gorgeous, moving film with a great cast", " one two three", " awful"]


@pytest.fixture(scope="module")
def trained(folders):
    """A reward model that started from the SFT adapter, and its scores."""
    model = new_reward_model(ModelOptions(str(folders / "base"), adapter=str(folders / "sft"))).eval()
    disturb([p for p in model.parameters() if p.requires_grad], by=0.2, seed=1)
    scores = ModelReward(model, tiny_tokenizer())(PROMPTS, COMPLETIONS)
    assert max(scores) - min(scores) > 0.1
    model.save_pretrained(folders / "reward")
    tiny_tokenizer().save_pretrained(folders / "reward")
    return folders / "reward", scores


def scores_of(folder: Path) -> list[float]:
    tokenizer = load_tokenizer(str(folder), padding_side="right")
    return ModelReward(load_reward_model(str(folder), dtype="float32"), tokenizer)(PROMPTS, COMPLETIONS)


def test_a_reward_model_that_is_loaded_scores_as_the_trained_one(trained, tmp_path):
    folder, expected = trained
    assert scores_of(folder) == pytest.approx(expected, abs=1e-5)
    load_reward_model(str(folder)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert scores_of(tmp_path) == pytest.approx(expected, abs=1e-5)


def test_so_does_one_that_is_merged_even_where_nothing_of_ours_loads_it(trained, tmp_path):
    folder, expected = trained
    merged = merge_adapter(str(folder), tmp_path / "merged")
    # The sum of two weights is rounded once more.
    assert scores_of(merged) == pytest.approx(expected, abs=1e-4)
    plain = AutoModelForSequenceClassification.from_pretrained(merged).eval()
    assert ModelReward(plain, tiny_tokenizer())(PROMPTS, COMPLETIONS) == pytest.approx(expected, abs=1e-4)


def test_so_does_one_that_is_a_role_on_the_policys_base(trained, folders):
    folder, expected = trained
    base, sft = load_causal_lm(ModelOptions(str(folders / "base"))), str(folders / "sft")
    roles = SharedRoles.build(base, sft_adapter=sft, reward_adapters=[str(folder)], policy_layers=1)
    tokenizer = tiny_tokenizer()
    rows = zip(PROMPTS, COMPLETIONS, strict=True)
    ids = [(tokenizer(prompt + completion + tokenizer.eos_token)["input_ids"], []) for prompt, completion in rows]
    input_ids, mask, _ = pad_sequences(ids, tokenizer.pad_token_id)
    assert roles.reward_scores([(input_ids, mask)]).scores[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_scoring_tokenizes_as_training_did(trained, tmp_path, form):
    prompt, chosen, rejected = PROMPTS[0], COMPLETIONS[0], COMPLETIONS[3]
    if form == "chat":
        prompt, chosen, rejected = (
            [{"role": role, "content": text}]
            for role, text in (("user", prompt), ("assistant", chosen), ("assistant", rejected))
        )
    trainer = RewardTrainer(
        model=tiny_classifier(),
        args=RewardConfig(output_dir=str(tmp_path), **trainer_defaults()),
        train_dataset=to_dataset([Row({"prompt": prompt, "chosen": chosen, "rejected": rejected})], "preference"),
        processing_class=tiny_tokenizer(),
    )
    folder, _ = trained
    scoring = ModelReward(tiny_classifier(), load_tokenizer(str(folder), padding_side="right"))
    assert tuple(trainer.train_dataset[0]["chosen_ids"]) == scoring.token_ids(prompt, chosen)
    assert tuple(trainer.train_dataset[0]["rejected_ids"]) == scoring.token_ids(prompt, rejected)
