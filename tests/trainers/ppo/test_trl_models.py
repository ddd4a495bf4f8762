"""Models as scripts for TRL's PPO bring them: what they become, and what is refused."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import PromptTuningConfig, get_peft_model
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GPTNeoXForSequenceClassification,
)

from rlhf.errors import ConfigError, ModelError
from rlhf.generation import Generation
from rlhf.trainers.ppo.rollout import pad_generations
from rlhf.trainers.ppo.trl_compat.models import scalar_head
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_config, tiny_tokenizer
from tests.trainers.ppo.trl_setup import lora, train_in, trl_trainer

EOS = 2


def answer(prompt: list[int], response: list[int], finished: bool) -> Generation:
    return Generation(prompt, response, [0.0] * len(response), finished)


# Rewards and values.


@torch.no_grad()
@pytest.mark.parametrize("own_pad", [0, EOS, None])
def test_the_reward_is_the_reward_models_own_forward_on_the_ended_ids(tmp_path, own_pad):
    reward_model = tiny_classifier(seed=1)
    reward_model.config.pad_token_id = own_pad
    trainer = trl_trainer(tmp_path, reward_model=reward_model)
    answers = [answer([5, 6, 7], [20, EOS], True), answer([8, 9], [30, 31, 32], False), answer([8], [EOS], False)]
    scores = trainer.scorer([{"prompt": one.prompt_ids} for one in answers], answers).total
    # The second was cut off, and is read as if it had ended; the third has its EOS, whatever stop token there is.
    read = [[5, 6, 7, 20, EOS], [8, 9, 30, 31, 32, EOS], [8, EOS]]
    own = torch.stack([reward_model(torch.tensor([ids])).logits[0, 0] for ids in read])
    torch.testing.assert_close(scores, own, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_conversation_is_scored_as_the_chat_template_ends_it(tmp_path):
    tokenizer, messages = tiny_tokenizer(), [{"role": "user", "content": "You are"}]
    trainer = trl_trainer(tmp_path, train_dataset=Dataset.from_list([{"prompt": messages}] * 8))
    drawn = tokenizer(" good")["input_ids"]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    score = trainer.scorer([{"prompt": messages}], [answer(prompt, [*drawn, EOS], True)]).total
    reply = {"role": "assistant", "content": " good"}
    whole = tokenizer.apply_chat_template([*messages, reply], return_dict=True, return_tensors="pt")
    torch.testing.assert_close(score, trainer.reward_model(**whole).logits[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("adapted", [False, True])
def test_values_begin_as_the_value_models_scores(tmp_path, adapted):
    value_model = tiny_classifier(seed=2)
    if adapted:
        value_model = get_peft_model(value_model, lora(task_type="SEQ_CLS"))
        value_model.base_model.model.score.modules_to_save["default"].weight.mul_(2)
    trainer = trl_trainer(tmp_path, value_model=value_model)
    sequences = pad_generations([answer([5, 6, 7], [20, 21], False)], 0, trainer.args.device)
    values = trainer.roles(sequences).values
    classifier = value_model.base_model.model if adapted else value_model
    scores = classifier.score(classifier.model(torch.tensor([[5, 6, 7, 20, 21]])).last_hidden_state)
    torch.testing.assert_close(values[0], scores[0, 2:, 0], atol=1e-6, rtol=1e-6)


def test_a_score_head_with_a_bias_is_copied_with_it():
    classifier = tiny_classifier()
    classifier.score = torch.nn.Linear(32, 1)
    hidden = torch.randn(3, 32)
    torch.testing.assert_close(scalar_head(classifier, "reward_model")(hidden), classifier.score(hidden).squeeze(-1))


def test_a_value_model_with_an_adapter_trains_that_alone(tmp_path):
    value_model = get_peft_model(tiny_classifier(seed=2), lora(task_type="SEQ_CLS"))
    trainer = train_in(tmp_path, {"learning_rate": 1e-2}, value_model=value_model)
    trained = {id(p) for p in trainer.roles.role_parameters()["value"]}
    named = {name for name, p in value_model.named_parameters() if id(p) in trained}
    assert named and all("lora_" in name for name in named)
    assert any(p.abs().sum() > 0 for name, p in value_model.named_parameters() if "lora_B" in name)


ARCHITECTURES = {
    "gpt2": (GPT2Config, GPT2LMHeadModel, GPT2ForSequenceClassification),
    "gpt_neox": (GPTNeoXConfig, GPTNeoXForCausalLM, GPTNeoXForSequenceClassification),
}


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_models_that_scripts_for_trl_use_can_be_trained(tmp_path, architecture, adapted):
    config_class, language_model, classifier = ARCHITECTURES[architecture]
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    tokens = {"vocab_size": len(tiny_tokenizer()), "bos_token_id": 1, "eos_token_id": EOS, "pad_token_id": 0}
    config = config_class(**shape, **tokens, num_labels=1)
    trainer = train_in(
        tmp_path,
        model=language_model(config),
        reward_model=classifier(config),
        value_model=classifier(config),
        peft_config=lora(fan_in_fan_out=architecture == "gpt2") if adapted else None,
    )
    first = trainer.state.log_history[0]
    assert first["objective/kl"] == pytest.approx(0.0, abs=1e-5) and trainer.state.global_step == 2


# Adapters.


def with_adapters(*names: str):
    """A policy that starts from an adapter with an effect, loaded once under each name; the first is trained."""
    torch.manual_seed(3)
    model = get_peft_model(tiny_causal_lm(), lora(init_lora_weights=False), adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, lora())
        first = {key: tensor for key, tensor in model.state_dict().items() if f".{names[0]}." in key}
        model.load_state_dict({k.replace(f".{names[0]}.", f".{name}."): v for k, v in first.items()}, strict=False)
    return model


def test_the_reference_is_the_adapter_that_is_named(tmp_path):
    names = {"model_adapter_name": "student", "ref_adapter_name": "teacher"}
    options = {**names, "learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 1, "total_episodes": 12}
    model = with_adapters("student", "teacher")
    teacher = {name: p.detach().clone() for name, p in model.named_parameters() if ".teacher." in name}
    trainer = train_in(tmp_path, options, model=model)
    kls = [log["objective/kl"] for log in trainer.state.log_history if "objective/kl" in log]
    assert kls[0] == 0.0 and kls[1] != 0.0
    assert teacher and all(torch.equal(p, model.get_parameter(name)) for name, p in teacher.items())

    again = trl_trainer(tmp_path, options, model=with_adapters("student", "teacher"))
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    for one, other in zip(trainer.roles.parameters(), again.roles.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_policy_with_an_adapter_and_no_reference_is_warned_of(tmp_path, caplog):
    trainer = train_in(tmp_path, model=with_adapters("default"))
    assert "ref_adapter_name" in caplog.text
    assert trainer.state.log_history[0]["objective/kl"] != 0.0


def test_a_lora_config_is_left_as_it_was(tmp_path):
    config = lora(task_type="CAUSAL_LM")
    before = copy.deepcopy(config.to_dict())
    trl_trainer(tmp_path, peft_config=config)
    assert config.to_dict() == before


def other_vocabulary():
    config = tiny_config()
    config.num_labels, config.vocab_size = 1, 5000
    return type(tiny_classifier())(config)


def too_few_rows():
    config = tiny_config()
    config.num_labels, config.vocab_size = 1, 100
    return type(tiny_classifier())(config)


def two_labels():
    config = tiny_config()
    config.num_labels = 2
    return type(tiny_classifier())(config)


@pytest.mark.parametrize(
    ("argument", "model", "part"),
    [
        ("reward_model", other_vocabulary, "reward_model .* 5,000 rows"),
        ("value_model", other_vocabulary, "value_model .* 5,000 rows"),
        ("ref_model", too_few_rows, "ref_model .* 100 rows"),
        ("reward_model", two_labels, "reward_model .* 2 labels"),
        ("value_model", tiny_causal_lm, "no linear head named `score`"),
    ],
)
def test_models_that_cant_play_their_part_are_refused(tmp_path, argument, model, part):
    with pytest.raises(ModelError, match=part):
        trl_trainer(tmp_path, **{argument: model()})


def test_a_reward_model_with_another_tokenizer_is_refused(tmp_path):
    """Of the same size: the folder that it was loaded from tells."""
    tokenizer = tiny_tokenizer()
    words = tokenizer.get_vocab()
    tokenizer.backend_tokenizer.model = type(tokenizer.backend_tokenizer.model)(
        vocab={token: len(words) - 1 - number for token, number in words.items()}, merges=[]
    )
    folder = tmp_path / "reward"
    tiny_classifier(seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"for its tokenizer.*\n.*recipes/ppo\.py"):
        trl_trainer(tmp_path, reward_model=type(tiny_classifier()).from_pretrained(folder))


def frozen_adapter():
    model = get_peft_model(tiny_causal_lm(), lora())
    return model.requires_grad_(False)


def with_biases():
    config = tiny_config()
    config.attention_bias = True
    return type(tiny_causal_lm())(config)


def soft_prompt():
    return get_peft_model(tiny_causal_lm(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: {"model": "gpt2"}, "model is 'gpt2', not a loaded model"),
        (lambda: {"value_model": None}, "value_model is None"),
        (lambda: dict.fromkeys(("model", "ref_model"), tiny_causal_lm()), "ref_model is model itself"),
        (lambda: dict.fromkeys(("value_model", "reward_model"), tiny_classifier()), "value_model is reward_model"),
        (lambda: {"peft_config": {"r": 4}}, "peft_config is a dict"),
        (lambda: {"model": with_adapters("default"), "peft_config": lora()}, "merge that first"),
        (lambda: {"model": frozen_adapter()}, "is_trainable=True"),
        (lambda: {"model": soft_prompt()}, "use LoRA"),
        (lambda: {"peft_config": lora(modules_to_save=["norm"])}, r"norm.*give a ref_model"),
        (lambda: {"model": with_biases(), "peft_config": lora(bias="lora_only")}, r"bias .*give a ref_model"),
        (lambda: {"options": {"ref_adapter_name": "old"}}, "model has no adapter"),
        (lambda: {"options": {"ref_adapter_name": "old"}, "peft_config": lora()}, "has the adapters default"),
        (
            lambda: {"options": {"model_adapter_name": "second"}, "model": with_adapters("first", "second")},
            r"'first' is active; call model\.set_adapter",
        ),
        (lambda: {"processing_class": object()}, "not a tokenizer"),
    ],
)
def test_models_that_dont_go_together_are_refused(tmp_path, make, part):
    with pytest.raises(ConfigError, match=part):
        trl_trainer(tmp_path, **make())
