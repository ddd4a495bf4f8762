"""Attention by products against torch's own, forward and backward, and where it is used."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rlhf.models import attention
from rlhf.models.attention import SDPA, attend_by_products
from rlhf.models.load import ModelOptions, load_base
from tests.tiny import save_tiny

BATCH, HEADS, KEY_HEADS, TOKENS, SIZE = 5, 6, 2, 7, 8


def tensors(dtype=torch.float32, queries=TOKENS):
    """Query, key and value as a model's layers give them: heads before positions, not contiguous."""
    generator = torch.Generator().manual_seed(0)

    def one(heads, tokens):
        whole = torch.randn(BATCH, tokens, heads, SIZE, generator=generator, dtype=torch.float64)
        return whole.to(dtype).transpose(1, 2).requires_grad_(True)

    return one(HEADS, queries), one(KEY_HEADS, TOKENS), one(KEY_HEADS, TOKENS)


def padded(per_head=False):
    """Each sequence has one more padded position on its left than the one before; True where it counts."""
    causal = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    mask = torch.stack([causal & (torch.arange(TOKENS) >= padding) for padding in range(BATCH)])[:, None]
    return mask.expand(-1, HEADS, -1, -1) if per_head else mask


def added(mask):
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)


MASKS = {"none": None, "padded": padded(), "each head's": padded(per_head=True), "added": added(padded())}


def torchs_own(query, key, value, mask):
    repeated = (one.repeat_interleave(HEADS // KEY_HEADS, dim=1) for one in (key, value))
    return scaled_dot_product_attention(query, *repeated, attn_mask=mask)


def by_products(query, key, value, mask):
    grouped = query.reshape(BATCH, KEY_HEADS, -1, SIZE)
    return attention._ByProducts.apply(grouped, key, value, mask, SIZE**-0.5).reshape(query.shape)


def counted(mask):
    """Positions that see something; what a padded position gives is of no consequence."""
    return torch.arange(TOKENS) >= (0 if mask is None else torch.arange(BATCH)[:, None, None])


@pytest.mark.parametrize("scores", [1, HEADS * TOKENS * TOKENS * 2, 10**6], ids=["one by one", "two by two", "all"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_in_float32_it_is_torchs_own_with_its_gradients(monkeypatch, mask, scores):
    monkeypatch.setattr(attention, "SCORES", scores)
    found = []
    for attend in (torchs_own, by_products):
        inputs = tensors()
        output = attend(*inputs, mask)
        output = torch.where(counted(mask)[..., None].expand_as(output), output, 0)
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
        found.append([output, *(one.grad for one in inputs)])
    for expected, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_rows_that_see_nothing_give_zeros_and_take_no_gradient():
    inputs = tensors()
    nothing = torch.zeros(BATCH, 1, TOKENS, TOKENS, dtype=torch.bool)
    output = by_products(*inputs, nothing)
    output.sum().backward()
    assert output.abs().sum() == 0
    assert all(one.grad.abs().sum() == 0 for one in inputs)


def test_a_number_that_is_none_is_not_hidden():
    query, key, value = tensors()
    with torch.no_grad():
        query[0, 0, 3] = torch.nan
    output = by_products(query, key, value, padded())
    assert output[0, 0, 3].isnan().all() and int(output.isnan().sum()) == SIZE


class Layer(torch.nn.Module):
    is_causal, num_key_value_groups = True, HEADS // KEY_HEADS


def distance(ours, expected):
    return float((ours.detach().float() - expected.detach()).norm() / expected.detach().norm())


def test_in_bfloat16_output_and_gradients_are_as_near_to_float32_as_rounding_allows():
    weights = torch.linspace(-1, 1, BATCH * TOKENS * HEADS * SIZE).view(BATCH, TOKENS, HEADS, SIZE)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        inputs = tensors(dtype)
        output, _ = attention._attention(Layer(), *inputs, None)
        output.backward(weights.to(dtype))
        results.append([output, *(one.grad for one in inputs)])
    for expected, ours in zip(*results, strict=True):
        assert ours.dtype == torch.bfloat16
        assert 0 < distance(ours, expected) < 2**-7  # half a step of bfloat16 is 2**-9


@pytest.mark.parametrize("queries", [1, TOKENS])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_without_gradients_it_is_torchs_own_too(mask, queries):
    inputs = tensors(torch.bfloat16, queries)
    mask = None if mask is None else mask[:, :, -queries:]
    if mask is None and queries > 1:
        mask = torch.ones(queries, queries, dtype=torch.bool).tril()[None, None]
    with torch.no_grad():
        ours, _ = attention._attention(Layer(), *inputs, mask)
        expected = torchs_own(*(one.float() for one in inputs), mask).transpose(1, 2)
    seen = counted(mask if len(mask if mask is not None else ()) > 1 else None)[..., -queries:]
    ours, expected = (one[seen.expand(BATCH, HEADS, queries).transpose(1, 2)] for one in (ours, expected))
    assert distance(ours, expected) < 2**-7


def test_gradients_change_nothing_forward():
    inputs = tensors(torch.bfloat16)
    with_gradients, _ = attention._attention(Layer(), *inputs, padded())
    with torch.no_grad():
        without, _ = attention._attention(Layer(), *inputs, padded())
    assert with_gradients.requires_grad
    assert torch.equal(with_gradients, without)


def test_what_is_not_plain_or_short_goes_torchs_way(monkeypatch):
    query, key, value = tensors(torch.bfloat16)
    expected = torchs_own(query.float(), key.float(), value.float(), padded()).transpose(1, 2)
    monkeypatch.setattr(attention._ByProducts, "apply", None)
    narrow, _ = attention._attention(Layer(), query, key, value[..., : SIZE // 2], padded())
    assert narrow.shape == (BATCH, TOKENS, HEADS, SIZE // 2)
    with pytest.raises(ValueError, match="softcap"):
        attention._attention(Layer(), query, key, value, padded(), softcap=5.0)
    monkeypatch.setattr(attention, "LONGEST", TOKENS - 1)
    output, _ = attention._attention(Layer(), query, key, value, padded())
    seen = counted(padded()).expand(BATCH, HEADS, TOKENS).transpose(1, 2)
    assert distance(output[seen], expected[seen]) < 2**-7


def test_a_model_that_is_loaded_computes_the_same_by_it(tmp_path):
    save_tiny(tmp_path / "model")
    model = load_base(AutoModelForCausalLM, str(tmp_path / "model"), ModelOptions(dtype="bfloat16"))
    assert model.config._attn_implementation == SDPA
    assert ALL_ATTENTION_FUNCTIONS[SDPA] is attention._attention
    ids = torch.arange(3, 27).view(2, 12)
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    ours = model(input_ids=ids, attention_mask=mask).logits
    AttentionInterface.register(SDPA, sdpa_attention_forward)
    expected = model(input_ids=ids, attention_mask=mask).logits
    attend_by_products()
    assert not torch.equal(ours, expected), "it was not used"
    assert distance(ours[mask.bool()], expected[mask.bool()].float()) < 2**-6
