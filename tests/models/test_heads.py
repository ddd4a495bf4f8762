"""Log-probabilities under a head, in chunks, frozen or not, against the plain computation."""

import pytest
import torch
from torch import nn

from rlhf.models import heads
from rlhf.models.heads import ScalarHead, token_logprobs


def plain(hidden, head, labels, temperature, softcap=None):
    logits = head(hidden)
    if softcap:
        logits = softcap * torch.tanh(logits / softcap)
    logprobs = (logits / temperature).log_softmax(-1)
    return logprobs.gather(-1, labels[:, None]).squeeze(-1), -(logprobs.exp() * logprobs).sum(-1)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cached", [1, 2 * 30, heads.CACHED_LOGITS], ids=["a row", "two rows", "all rows"])
def test_logprobs_entropies_and_gradients(monkeypatch, frozen, softcap, bias, cached):
    monkeypatch.setattr(heads, "CACHED_LOGITS", cached)
    torch.manual_seed(0)
    head = nn.Linear(8, 30, bias=bias).requires_grad_(not frozen)
    hidden = torch.randn(11, 8, requires_grad=True)
    labels, weights = torch.randint(0, 30, (11,)), torch.randn(11)
    expected, entropies = plain(hidden, head, labels, 0.7, softcap)
    (expected * weights).sum().backward()
    gradient, hidden.grad = hidden.grad, None
    head_gradient, head.weight.grad = head.weight.grad, None
    ours, our_entropies = token_logprobs(hidden, head, labels, temperature=0.7, softcap=softcap, chunk=4)
    (ours * weights).sum().backward()
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(our_entropies, entropies.detach())
    torch.testing.assert_close(hidden.grad, gradient)
    if not frozen:
        torch.testing.assert_close(head.weight.grad, head_gradient)


@pytest.mark.parametrize("cached", [1, 2 * 30, heads.CACHED_LOGITS], ids=["a row", "two rows", "all rows"])
def test_without_gradients_they_are_the_same(monkeypatch, cached):
    monkeypatch.setattr(heads, "CACHED_LOGITS", cached)
    torch.manual_seed(0)
    head, hidden, labels = nn.Linear(8, 30), torch.randn(11, 8), torch.randint(0, 30, (11,))
    with torch.no_grad():
        found = token_logprobs(hidden, head, labels, temperature=0.7, chunk=4)
        torch.testing.assert_close(found, plain(hidden, head, labels, 0.7))


def test_no_tokens_give_no_logprobs():
    logprobs, entropies = token_logprobs(torch.zeros(0, 8), nn.Linear(8, 30), torch.zeros(0, dtype=torch.long))
    assert logprobs.shape == entropies.shape == (0,)


def test_a_scalar_head_starts_at_0_and_stays_float32():
    head = ScalarHead(8)
    scores = head(torch.randn(2, 3, 8, dtype=torch.bfloat16))
    assert scores.dtype == torch.float32 and scores.shape == (2, 3) and (scores == 0).all()
