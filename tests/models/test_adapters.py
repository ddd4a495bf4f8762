"""Several adapters on one base: switching, merging, and leaving everything as it was."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rlhf.models.adapters import active_adapter, adapter_parameters, merged_adapter
from tests.tiny import tiny_causal_lm

IDS = torch.tensor([[5, 6, 7, 8, 9]])


def lora():
    return LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)


@pytest.fixture
def model():
    model = get_peft_model(tiny_causal_lm(), lora())
    model.add_adapter("second", lora())
    return model.eval()


@torch.no_grad()
def logits(model):
    return model(IDS).logits


def test_the_active_adapter_answers_and_trainability_stays(model):
    trainable = [p.requires_grad for p in model.parameters()]
    first = logits(model)
    with active_adapter(model, "second"):
        second = logits(model)
        with active_adapter(model, None):
            bare = logits(model)
    assert torch.equal(logits(model), first)
    assert not torch.allclose(first, second) and not torch.allclose(second, bare)
    torch.testing.assert_close(bare, logits(tiny_causal_lm()))
    assert [p.requires_grad for p in model.parameters()] == trainable


def test_gradients_survive_a_switch_between_forward_and_backward(model):
    first = model(IDS).logits.sum()
    with active_adapter(model, "second"):
        model(IDS)
    first.backward()
    assert all(p.grad is not None for _, p in adapter_parameters(model, "default"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_gives_the_same_answer_and_leaves_the_base_bit_identical(model, dtype):
    model.to(dtype)
    base = {name: p.clone() for name, p in model.named_parameters()}
    with active_adapter(model, "second"):
        unmerged = logits(model)
    for _ in range(3):
        with merged_adapter(model, "second"):
            merged = logits(model)
    tolerance = 1e-4 if dtype == torch.float32 else 0.3
    torch.testing.assert_close(merged, unmerged, atol=tolerance, rtol=tolerance)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, base[name]), name


@pytest.mark.parametrize(
    "shape",
    [
        LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, lora_bias=True),
        LoraConfig(r=4, target_modules=["q_proj", "lm_head"], init_lora_weights=False),  # the head is the embedding too
    ],
    ids=["bias", "tied head"],
)
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`", "ignore:`lora_bias=True` was passed")
def test_what_a_merge_would_compute_wrongly_runs_unmerged(shape):
    model = get_peft_model(tiny_causal_lm(), shape).eval()
    with torch.no_grad():
        for name, parameter in adapter_parameters(model, "default"):
            if "bias" in name:
                parameter.add_(1.0)
    beside = logits(model)
    with merged_adapter(model, "default"):
        torch.testing.assert_close(logits(model), beside, atol=1e-5, rtol=1e-5)
