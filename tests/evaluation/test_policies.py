"""Policies that share a base, on tiny models."""

import pytest
import torch
from peft import PeftModel

from rlhf.errors import ModelError
from rlhf.evaluation import policies as module
from rlhf.evaluation.policies import Policies, Sampling, answer, check_places, log_ratios, text_losses
from rlhf.evaluation.progress import Quiet
from rlhf.models.load import ModelOptions
from rlhf.models.scoring import perplexity, sequence_logprobs
from tests.evaluation.tiny_runs import PROMPTS, TEXTS, save_adapter
from tests.tiny import save_tiny, tiny_tokenizer

SAMPLING = Sampling(max_new_tokens=6, temperature=1.0, seed=0, generation_batch_size=2, scoring_batch_size=3)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    base = save_tiny(folder / "base")
    places = {
        "base": None,
        "sft": str(save_adapter(base, folder / "sft", seed=1)),
        "ppo": str(save_adapter(base, folder / "ppo", seed=2)),
        "whole": str(save_tiny(folder / "whole", seed=9)),
    }
    return ModelOptions(str(base), dtype="float32"), places


def logits(model):
    ids = torch.tensor([tiny_tokenizer()("Film review: A great film")["input_ids"]])
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_each_policy_is_the_model_that_plain_peft_loads(world):
    options, places = world
    policies = Policies(options, places)
    from transformers import AutoModelForCausalLM

    for name, place in places.items():
        if name == "whole":
            plain = AutoModelForCausalLM.from_pretrained(place)
        else:
            plain = AutoModelForCausalLM.from_pretrained(options.model_name_or_path)
            plain = plain if place is None else PeftModel.from_pretrained(plain, place)
        with policies.use(name) as model:
            torch.testing.assert_close(logits(model), logits(plain), atol=1e-5, rtol=1e-4)


def test_a_policy_leaves_no_trace_on_the_next(world):
    policies = Policies(*world)
    with policies.use("base") as model:
        before = logits(model)
    with pytest.raises(RuntimeError, match="stop"), policies.use("ppo"):
        raise RuntimeError("stop")
    with policies.use("base") as model:
        assert torch.equal(logits(model), before)


def test_kl_is_the_sum_of_log_ratios_and_zero_for_the_reference(world):
    options, places = world
    policies, tokenizer = Policies(options, places), tiny_tokenizer()
    answers = {}
    for name in places:
        with policies.use(name) as model:
            answers[name] = answer(model, tokenizer, PROMPTS, SAMPLING, Quiet())
    ratios = log_ratios(answers, "sft", policies, tokenizer.pad_token_id, SAMPLING, Quiet())
    assert ratios["sft"] == [0.0] * len(PROMPTS)
    pairs = [(one.prompt_ids, one.response_ids) for one in answers["ppo"]]
    sums = {}
    for name in ("ppo", "sft"):
        with policies.use(name) as model:
            rows = sequence_logprobs(model, pairs, pad_token_id=tokenizer.pad_token_id)
        sums[name] = [sum(row) for row in rows]
    expected = [ppo - sft for ppo, sft in zip(sums["ppo"], sums["sft"], strict=True)]
    assert ratios["ppo"] == pytest.approx(expected, abs=1e-4)


def test_a_copy_of_the_reference_has_kl_zero(world):
    options, places = world
    policies, tokenizer = Policies(options, {"sft": places["sft"], "twin": places["sft"]}), tiny_tokenizer()
    answers = {}
    for name in ("sft", "twin"):
        with policies.use(name) as model:
            answers[name] = answer(model, tokenizer, PROMPTS, SAMPLING, Quiet())
    ratios = log_ratios(answers, "sft", policies, tokenizer.pad_token_id, SAMPLING, Quiet())
    assert ratios["twin"] == pytest.approx([0.0] * len(PROMPTS), abs=1e-4)
    # equal policies draw the same random numbers
    assert [one.response_ids for one in answers["sft"]] == [one.response_ids for one in answers["twin"]]


def test_text_losses_add_up_to_the_perplexity(world):
    policies, tokenizer = Policies(*world), tiny_tokenizer()
    with policies.use("sft") as model:
        losses = text_losses("sft", model, tokenizer, [*TEXTS, "a"], SAMPLING, Quiet())
        expected = perplexity(model, tokenizer, TEXTS)
    total = sum(loss.negative_logprob for loss in losses) / sum(loss.tokens for loss in losses)
    assert torch.tensor(total).exp().item() == pytest.approx(expected, rel=1e-5)


def test_a_wrong_folder_is_found_before_anything_is_loaded(world, tmp_path, monkeypatch):
    options, places = world
    monkeypatch.setattr(module, "load_causal_lm", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(ModelError, match="does not exist"):
        check_places(str(options.model_name_or_path), places | {"dpo": str(tmp_path / "dpo")})
    (tmp_path / "dpo").mkdir()
    with pytest.raises(ModelError, match="not a model folder"):
        check_places(str(options.model_name_or_path), places | {"dpo": str(tmp_path / "dpo")})


def test_an_adapter_of_another_base_is_worth_a_warning(world, tmp_path, caplog):
    other = save_adapter(tmp_path / "elsewhere", tmp_path / "adapter", seed=3)
    check_places(str(world[0].model_name_or_path), {"dpo": str(other)})
    assert "was trained on" in caplog.text
