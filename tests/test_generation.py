"""Sampling: the right distribution, the right log-probabilities, the right end."""

import pytest
import torch
from transformers import GenerationConfig

from rlhf.errors import ConfigError
from rlhf.generation import Draw, generate
from rlhf.models.scoring import sequence_logprobs
from tests.tiny import tiny_causal_lm, tiny_tokenizer

PROMPTS = ["Film review: A", "You", "What is the capital of France?", "Film"]


def sample(model=None, prompts=PROMPTS, **options):
    options = {"max_new_tokens": 12, "seed": 0, **options}
    return generate(model or tiny_causal_lm(), tiny_tokenizer(), prompts, **options)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_logprobs_are_those_of_a_scoring_forward(temperature, batch_size):
    model = tiny_causal_lm()
    generations = sample(model, temperature=temperature, batch_size=batch_size)
    pairs = [(g.prompt_ids, g.response_ids) for g in generations]
    scored = sequence_logprobs(model, pairs, pad_token_id=0, temperature=temperature, batch_size=3)
    for generation, logprobs in zip(generations, scored, strict=True):
        assert generation.logprobs == pytest.approx(logprobs, abs=1e-4)


def test_the_same_seed_gives_the_same_responses_and_another_seed_others():
    responses = [[g.response_ids for g in sample(seed=seed)] for seed in (1, 1, 2)]
    assert responses[0] == responses[1] != responses[2]


def test_draws_follow_the_distribution():
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf]]).repeat(20_000, 1)
    draw = Draw(2.0, torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0)))
    expected = (logits[0] / 2.0).softmax(-1)
    tokens = draw(torch.zeros(20_000, 1), logits).argmax(-1)
    frequencies = torch.bincount(tokens, minlength=4) / 20_000
    # Three standard errors of a frequency near 0.5.
    torch.testing.assert_close(frequencies, expected, atol=0.011, rtol=0)
    assert frequencies[3] == 0
    assert draw.logprobs()[0][0] == pytest.approx(expected[tokens[0]].log().item(), abs=1e-6)


def test_temperature_0_takes_the_likeliest_token():
    model = tiny_causal_lm()
    generation = sample(model, ["You are"], temperature=0.0, max_new_tokens=1)[0]
    logits = model(torch.tensor([generation.prompt_ids])).logits[0, -1]
    assert generation.response_ids == [logits.argmax().item()]


def test_responses_end_with_the_stop_token_and_say_so():
    for generation in sample(max_new_tokens=60, prompts=PROMPTS * 8):
        assert 2 not in generation.response_ids[:-1]
        assert generation.finished == (generation.response_ids[-1] == 2)
        assert len(generation.logprobs) == len(generation.response_ids)


def test_without_stop_tokens_all_run_to_the_end():
    generations = sample(stop_token_ids=[])
    assert all(len(g.response_ids) == 12 and not g.finished for g in generations)


def test_sampling_settings_of_the_model_folder_are_not_used():
    plain, picky = tiny_causal_lm(), tiny_causal_lm()
    picky.generation_config = GenerationConfig(top_k=1, repetition_penalty=3.0, do_sample=True, eos_token_id=5)
    assert [g.response_ids for g in sample(plain)] == [g.response_ids for g in sample(picky)]
    assert picky.generation_config.top_k == 1


def test_prompts_are_texts_conversations_or_ids():
    tokenizer = tiny_tokenizer()
    conversation = [{"role": "user", "content": "You"}]
    rendered = "<|im_start|>user\nYou<|im_end|>\n<|im_start|>assistant\n"
    expected = [tokenizer("You are")["input_ids"], tokenizer(rendered)["input_ids"], [5, 6]]
    assert [g.prompt_ids for g in sample(prompts=["You are", conversation, [5, 6]])] == expected


@pytest.mark.parametrize("options", [{"temperature": -1.0}, {"max_new_tokens": 0}])
def test_what_can_not_be_sampled_is_refused(options):
    with pytest.raises(ConfigError):
        sample(**options)


def test_a_frozen_head_gets_contiguous_states_and_the_hook_is_gone_afterwards():
    model = tiny_causal_lm()
    sample(model)
    assert not model.get_output_embeddings()._forward_pre_hooks
