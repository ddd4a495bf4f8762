"""The shared trunk, for several architectures. That it is the plain forward is in tests/invariants."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf.errors import ModelError
from rlhf.models.roles import Sequences, check_logprobs
from rlhf.models.trunk import check_depth, decoder_of, run_bottom

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
ARCHITECTURES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "smollm3"]
IDS = torch.arange(1, 25).reshape(3, 8)
MASK = torch.ones(3, 8, dtype=torch.bool)
MASK[0, :3] = False


def build(architecture):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **SIZES)).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_our_logprobs_are_the_models(architecture):
    check_logprobs(build(architecture))


def test_a_model_that_scales_its_logits_is_refused():
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("cohere", **{k: v for k, v in SIZES.items() if k != "head_dim"}, logit_scale=0.01)
    )
    with pytest.raises(ModelError, match="not a linear function"):
        check_logprobs(model)


def test_one_pass_serves_several_depths():
    decoder = decoder_of(build("llama"))
    states = run_bottom(decoder, [1, 3], IDS, MASK)
    assert set(states) == {1, 3}
    torch.testing.assert_close(states[3], run_bottom(decoder, [3], IDS, MASK)[3])
    assert not decoder.layers[-1]._forward_pre_hooks and not decoder.layers[-3]._forward_pre_hooks


def test_a_depth_beyond_the_model_is_refused():
    decoder = decoder_of(build("llama"))
    assert check_depth(decoder, None, "policy_layers") == 4
    for depth in (0, 5):
        with pytest.raises(ModelError, match=f"policy_layers is {depth}"):
            check_depth(decoder, depth, "policy_layers")


def test_an_architecture_without_a_list_of_layers_is_refused():
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("gpt2", vocab_size=96, n_embd=32, n_layer=2, n_head=4)
    )
    with pytest.raises(ModelError, match="no plain list"):
        decoder_of(model)


def test_selected_rows_lose_the_columns_that_are_padding_in_all_of_them():
    ids = torch.tensor([[0, 0, 5, 6, 7, 0], [0, 4, 5, 6, 7, 8], [3, 4, 5, 6, 0, 0]])
    sequences = Sequences(ids, ids != 0, prompt_width=4, trunk={"policy": ids[..., None].float()})
    part = sequences.select(torch.tensor([0]))
    assert part.input_ids.tolist() == [[5, 6, 7]]
    assert part.prompt_width == 2 and part.response_mask.tolist() == [[True]]
    assert part.trunk["policy"].squeeze(-1).tolist() == [[5, 6, 7]]
