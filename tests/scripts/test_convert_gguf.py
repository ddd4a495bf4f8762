"""A tiny quantized model goes through GGUF and comes out as a normal model folder."""

import json
import re
from pathlib import Path

import convert_gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from rlhf.errors import ModelError
from tests.tiny import tiny_causal_lm, tiny_tokenizer

gguf = pytest.importorskip("gguf", reason="the extra 'demo' is not installed")

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def write_gguf(path: Path, pad_token: str = convert_gguf.PAD_TOKEN) -> None:
    """The tiny model in float32, under GGUF's names, with its byte-level BPE tokenizer."""
    model, tokenizer = tiny_causal_lm(), tiny_tokenizer()
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, tokenizer, pad_token)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(gguf_name(name), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: "gguf.GGUFWriter", tokenizer: PreTrainedTokenizerFast, pad_token: str) -> None:
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([pad_token if token == convert_gguf.PAD_TOKEN else token for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.eos_token_id)


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{NAMES[stem]}.weight"
    number, module = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{number}.{LAYER_NAMES[module]}.weight"


def test_the_folder_is_a_normal_one(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    facts = convert_gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model", name="Tiny")

    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["dtype"] == "bfloat16" and config["_model_name_or_path"] == "Tiny"
    assert "quantization_config" not in config
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    saved = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert facts["parameters"] == model.num_parameters() and facts["layers"] == model.config.num_hidden_layers
    assert saved.pad_token == "<|endoftext|>" != saved.eos_token
    assert config["pad_token_id"] == model.generation_config.pad_token_id == saved.pad_token_id
    assert saved("Film review: A moving film.").input_ids == tiny_tokenizer()("Film review: A moving film.").input_ids
    embeddings = model.get_input_embeddings().weight
    assert torch.equal(embeddings, tiny_causal_lm().get_input_embeddings().weight.bfloat16())


def test_a_vocabulary_without_the_pad_token(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", pad_token="<unused>")
    with pytest.raises(ModelError, match=re.escape("lacks <|endoftext|>")):
        convert_gguf.convert(tmp_path / "tiny.gguf", tmp_path / "model", name="Tiny")
