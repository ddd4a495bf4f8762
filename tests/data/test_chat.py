"""Ids and mask: equal to what TRL's trainers make of the same rows."""

import pytest
from datasets import Dataset

from rlhf.data.chat import encode, encode_conversation, encode_pair, prompt_ids
from rlhf.errors import DataError, ModelError
from tests.data.helpers import turns
from tests.tiny import CHAT_TEMPLATE, tiny_causal_lm, tiny_classifier, tiny_tokenizer

MARKED_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>\n' }}{% endgeneration %}{% else %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = [
    {"prompt": "Film review:", "completion": " A gorgeous, moving film."},
    {"prompt": "Film review: ", "completion": "The space joins the word."},
    {"prompt": "Film", "completion": "review, größer 🎬<|im_end|>"},
]
CHATS = [
    {"prompt": turns("What is good?"), "completion": turns("Paris.", first="assistant")},
    {
        "prompt": [{"role": "system", "content": "You are a helpful assistant."}, *turns("one", "two", "three")],
        "completion": turns("four", "five", "six", first="assistant"),
    },
]
MESSAGES = [{"messages": turns("one", "two", "three", "four")}, {"messages": turns("good", "better")}]
PAIRS = [{"prompt": "Film review:", "chosen": " great", "rejected": " awful, dull"}]
CHAT_PAIRS = [
    {
        "prompt": turns("What is good?"),
        "chosen": turns("Paris.", first="assistant"),
        "rejected": turns("awful", first="assistant"),
    }
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def sft_dataset(rows, tokenizer, folder, **options):
    """What SFTTrainer trains on."""
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", activation_checkpointing=False, **options
    )
    trainer = SFTTrainer(
        tiny_causal_lm(layers=1), args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    return trainer.train_dataset


@pytest.mark.parametrize("rows", [PLAIN, CHATS], ids=["plain", "conversations"])
def test_completions_are_encoded_as_sft_trainer_does(rows, tokenizer, tmp_path):
    expected = sft_dataset(rows, tokenizer, tmp_path)
    for row, theirs in zip(rows, expected, strict=True):
        ours = encode(tokenizer, row, "sft")
        assert ours.input_ids == theirs["input_ids"]
        assert ours.labels() == theirs["labels"]
        assert ours.cut(5).labels() == theirs["labels"][:5]


def test_text_is_encoded_as_sft_trainer_does(tokenizer, tmp_path):
    rows = [{"text": "A gorgeous film."}, {"text": "The plot.<|im_end|>"}]
    for row, theirs in zip(rows, sft_dataset(rows, tokenizer, tmp_path), strict=True):
        assert encode(tokenizer, row, "text").labels() == theirs["labels"]


def test_marked_templates_give_the_assistant_mask_of_sft_trainer(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = MARKED_TEMPLATE
    expected = sft_dataset(MESSAGES, tokenizer, tmp_path, assistant_only_loss=True)
    for row, theirs in zip(MESSAGES, expected, strict=True):
        ours = encode(tokenizer, row, "sft")
        assert (ours.input_ids, ours.labels()) == (theirs["input_ids"], theirs["labels"])
        # Without the marks, rendering turn by turn finds the same tokens.
        plain = tiny_tokenizer()
        assert plain.chat_template == CHAT_TEMPLATE
        assert encode(plain, row, "sft") == ours


def test_one_turn_of_messages_trains_what_prompt_and_completion_do(tokenizer):
    whole = encode_conversation(tokenizer, turns("good", "better"))
    assert whole == encode(
        tokenizer, {"prompt": turns("good"), "completion": turns("better", first="assistant")}, "sft"
    )
    trained = [token for token, kept in zip(whole.input_ids, whole.completion_mask, strict=True) if kept]
    assert tokenizer.decode(trained) == "better<|im_end|>\n"


@pytest.mark.parametrize("rows", [PAIRS, CHAT_PAIRS], ids=["plain", "conversations"])
def test_pairs_are_encoded_as_the_preference_trainers_do(rows, tokenizer, tmp_path):
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

    options = {"use_cpu": True, "bf16": False, "report_to": "none", "activation_checkpointing": False}
    data = Dataset.from_list(rows)
    reward = RewardTrainer(
        tiny_classifier(layers=1),
        args=RewardConfig(output_dir=str(tmp_path), **options),
        train_dataset=data,
        processing_class=tokenizer,
    ).train_dataset
    dpo = DPOTrainer(
        tiny_causal_lm(layers=1),
        ref_model=tiny_causal_lm(layers=1),
        args=DPOConfig(output_dir=str(tmp_path), **options),
        train_dataset=data,
        processing_class=tokenizer,
    ).train_dataset
    for row, judged, compared in zip(rows, reward, dpo, strict=True):
        for side, ours in zip(("chosen", "rejected"), encode_pair(tokenizer, row), strict=True):
            assert ours.input_ids == judged[f"{side}_ids"] == compared["prompt_ids"] + compared[f"{side}_ids"]
            assert ours.prompt_length == len(compared["prompt_ids"])


def test_prompts_have_nothing_to_train_and_open_the_answer(tokenizer):
    encoded = encode(tokenizer, {"prompt": turns("good")}, "prompts")
    assert tokenizer.decode(encoded.input_ids).endswith("<|im_start|>assistant\n")
    assert not any(encoded.completion_mask)
    assert encoded.prompt_length == len(encoded.input_ids)
    assert prompt_ids(tokenizer, "Film review:") == tokenizer("Film review:")["input_ids"]


def test_pairs_without_a_prompt_and_ties(tokenizer):
    chosen, rejected = encode_pair(tokenizer, {"chosen": "a", "rejected": "b"})
    assert all(chosen.completion_mask) and chosen.input_ids[-1] == tokenizer.eos_token_id
    tie = {"prompt": "Q", "first": "a", "second": "b", "verdict": "tie"}
    assert len(encode_pair(tokenizer, tie)) == 2
    with pytest.raises(DataError, match="two responses"):
        encode(tokenizer, tie, "tie")


def test_a_tokenizer_without_a_template_or_with_one_that_refuses():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no system turn here') }}"
    with pytest.raises(ModelError, match="no system turn here"):
        encode(tokenizer, CHATS[0], "sft")
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        encode(tokenizer, CHATS[0], "sft")
    assert encode(tokenizer, PLAIN[0], "sft").input_ids
