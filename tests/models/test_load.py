"""Models from folders: precision, tuning, tokenizers, and the traps of 4-bit weights."""

import json
from pathlib import Path

import bitsandbytes
import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForSequenceClassification

from rlhf.errors import ConfigError, ModelError
from rlhf.models import load
from rlhf.models.load import (
    ModelOptions,
    load_causal_lm,
    load_tokenizer,
    lora_config,
    resolve_dtype,
    train_in_float32,
    trainable_summary,
)
from rlhf.models.reward_model import Float32Head, load_reward_model, new_reward_model
from tests.tiny import save_tiny, tiny_causal_lm, tiny_classifier, tiny_tokenizer

IDS = torch.tensor([[5, 6, 7, 8, 9, 2], [9, 8, 7, 6, 5, 4]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def sft(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An adapter that changes what the base says."""
    return save_adapter(load_causal_lm(ModelOptions(base), trainable=True), tmp_path_factory.mktemp("sft"))


def save_adapter(model: PeftModel, folder: Path) -> str:
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


def gradient_norm(model: torch.nn.Module) -> float:
    model.zero_grad()
    model.train()
    model(input_ids=IDS, labels=IDS).loss.backward()
    gradients = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    return torch.stack(gradients).norm().item()


# --- options ---------------------------------------------------------------------------------------------------------


def test_one_option_chooses_the_tuning(base: str) -> None:
    assert (ModelOptions(base, tuning="qlora").load_in_4bit, ModelOptions(base, tuning="qlora").use_peft) == (
        True,
        True,
    )
    assert ModelOptions(base, load_in_4bit=True).tuning == "qlora"
    assert not ModelOptions(base, tuning="full").use_peft


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tuning": "full", "load_in_4bit": True}, "can't train load_in_4bit weights"),
        ({"tuning": "full", "load_in_8bit": True}, "can't train load_in_8bit weights"),
        ({"tuning": "full", "use_peft": True}, "without use_peft"),
        ({"tuning": "full", "adapter": "runs/sft"}, "merge it first"),
        ({"tuning": "qlora", "load_in_8bit": True}, "exclude each other"),
        ({"load_in_4bit": True, "load_in_8bit": True}, "exclude each other"),
    ],
)
def test_clashes_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelOptions("model", **options)


def test_auto_takes_bfloat16_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in (({"avx2": True}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert resolve_dtype("auto", "cpu") is expected
    assert resolve_dtype("float16") is torch.float16
    assert ModelOptions("model", tuning="full").torch_dtype() is torch.float32


def test_each_lora_config_is_fresh() -> None:
    one, other = lora_config(ModelOptions("model")), lora_config(ModelOptions("model"))
    assert one is not other and one.target_modules == "all-linear"


# --- tokenizers ------------------------------------------------------------------------------------------------------


def test_an_adapter_without_a_tokenizer_uses_its_base_s(base: str, tmp_path: Path) -> None:
    load_causal_lm(ModelOptions(base), trainable=True).save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).get_vocab() == tiny_tokenizer().get_vocab()


# --- language models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tuning", "trained"), [("full", 40_672), ("lora", 24_576), ("qlora", 24_576)])
def test_what_is_trainable(base: str, tuning: load.Tuning, trained: int) -> None:
    model = load_causal_lm(ModelOptions(base, tuning=tuning), trainable=True)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trained
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    total = 40_672 if tuning == "full" else 65_248  # 4-bit weights are counted unpacked
    assert trainable_summary(model) == f"trainable parameters: {trained:,} of {total:,} ({trained / total:.1%})"


def test_large_counts_are_shown_in_millions() -> None:
    assert "1.2 M of 1.2 M (100.0%)" in trainable_summary(torch.nn.Linear(1200, 1000, bias=False))


def test_frozen_unless_asked(base: str, sft: str) -> None:
    for adapter in (None, sft):
        model = load_causal_lm(ModelOptions(base), adapter=adapter)
        assert not any(p.requires_grad for p in model.parameters()) and not model.training


def test_training_goes_on_from_an_adapter_which_plain_peft_reads(base: str, sft: str) -> None:
    ours = load_causal_lm(ModelOptions(base), adapter=sft, trainable=True)
    assert list(ours.peft_config) == ["default"] and any(p.requires_grad for p in ours.parameters())
    plain = AutoPeftModelForCausalLM.from_pretrained(sft, dtype=torch.float32).eval()
    torch.testing.assert_close(ours(IDS).logits, plain(IDS).logits)
    assert not torch.allclose(ours(IDS).logits, load_causal_lm(ModelOptions(base))(IDS).logits)


def test_a_hub_name_that_is_none_is_a_model_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="can't be loaded from the hub"):
        load_causal_lm(ModelOptions("nobody/has-this-model"))


# --- 4 bits ----------------------------------------------------------------------------------------------------------


def test_qlora_is_nf4_with_double_quantization(base: str) -> None:
    model = load_causal_lm(ModelOptions(base, tuning="qlora"), trainable=True)
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 3 * 7 and {layer.weight.quant_type for layer in layers} == {"nf4"}
    assert all(layer.weight.quant_state.nested for layer in layers)
    assert not isinstance(model.get_output_embeddings(), bitsandbytes.nn.Linear4bit)


def test_an_evaluation_forward_leaves_the_gradients_of_4_bit_training_alone(base: str) -> None:
    torch.manual_seed(0)
    model = load_causal_lm(ModelOptions(base, tuning="qlora", lora_dropout=0.0), trainable=True)
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    before = gradient_norm(model)
    with torch.no_grad():
        model.eval()(input_ids=IDS)
    assert before > 0 and gradient_norm(model) == before


def test_weights_in_training_go_back_to_float32(base: str) -> None:
    model = load_causal_lm(ModelOptions(base), trainable=True)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    train_in_float32(model)
    assert {(p.requires_grad, p.dtype) for p in model.parameters()} == {(True, torch.float32), (False, torch.bfloat16)}


# --- reward models ---------------------------------------------------------------------------------------------------


def test_a_reward_model_starts_from_the_sft_adapter(base: str, sft: str) -> None:
    torch.manual_seed(0)
    reward = new_reward_model(ModelOptions(adapter=sft)).eval()
    trunk = load_causal_lm(ModelOptions(base), adapter=sft)
    with torch.no_grad():
        states = reward.base_model.model.model(IDS).last_hidden_state
        expected = trunk.base_model.model.model(IDS).last_hidden_state
    torch.testing.assert_close(states, expected)
    trained = {name for name, p in reward.named_parameters() if p.requires_grad}
    assert any("score" in name for name in trained) and any("lora_A" in name for name in trained)
    assert len(trained) == 3 * 7 * 2 + 1


def test_an_adapter_of_other_layers_is_refused(sft: str, tmp_path: Path) -> None:
    deeper = str(save_tiny(tmp_path / "narrower", layers=2))
    with pytest.raises(ModelError, match="does not fit the layers"):
        new_reward_model(ModelOptions(deeper, adapter=sft))


@pytest.mark.parametrize("tuning", ["full", "lora", "qlora"])
def test_the_score_head_survives_a_reload(base: str, tmp_path: Path, tuning: load.Tuning) -> None:
    torch.manual_seed(0)
    model = new_reward_model(ModelOptions(base, tuning=tuning)).eval()
    model.config.pad_token_id = 0
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded = load_reward_model(str(tmp_path), load_in_4bit=tuning == "qlora")
    torch.testing.assert_close(loaded(IDS).logits, model(IDS).logits)
    assert not any(p.requires_grad for p in loaded.parameters()) and loaded.config.pad_token_id == 0


def test_the_head_computes_in_float32_on_a_bfloat16_base(base: str) -> None:
    model = new_reward_model(ModelOptions(base, dtype="bfloat16"))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(IDS).logits.dtype is torch.float32
    linear = torch.nn.Linear(4, 1, bias=False, dtype=torch.bfloat16)
    hidden = torch.randn(2, 4, dtype=torch.bfloat16)
    torch.testing.assert_close(Float32Head.of(linear)(hidden), hidden.float() @ linear.weight.float().T)


def test_what_is_no_reward_model_is_refused(base: str, sft: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="LlamaForCausalLM, which has no score head"):
        load_reward_model(base)
    with pytest.raises(ModelError, match="an adapter for CAUSAL_LM, not a reward model"):
        load_reward_model(sft)
    config = tiny_classifier().config
    config.num_labels = 3
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="a classifier with 3 labels"):
        load_reward_model(str(tmp_path))


def test_an_adapter_saved_without_its_head_is_refused(base: str, tmp_path: Path) -> None:
    load_causal_lm(ModelOptions(base), trainable=True).save_pretrained(tmp_path)
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"task_type": "SEQ_CLS"}))
    with pytest.raises(ModelError, match="without its score head"):
        load_reward_model(str(tmp_path))


def test_tiny_models_are_what_the_counts_above_assume() -> None:
    assert sum(p.numel() for p in tiny_causal_lm().parameters()) == 40_672
