"""Adapters folded into whole models give the same outputs."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlhf.errors import ModelError
from rlhf.models.export import merge_adapter
from rlhf.models.load import ModelOptions, load_causal_lm
from tests.models.test_load import IDS, save_adapter
from tests.tiny import save_tiny


def test_a_merged_policy_is_a_plain_model(tmp_path: Path) -> None:
    base = str(save_tiny(tmp_path / "base"))
    adapter = save_adapter(load_causal_lm(ModelOptions(base), trainable=True), tmp_path / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(merge_adapter(adapter, tmp_path / "merged"))
    torch.testing.assert_close(merged(IDS).logits, load_causal_lm(ModelOptions(base), adapter=adapter)(IDS).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").pad_token_id == merged.config.pad_token_id == 0
    with pytest.raises(ModelError, match="is not empty"):
        merge_adapter(adapter, tmp_path / "merged")
