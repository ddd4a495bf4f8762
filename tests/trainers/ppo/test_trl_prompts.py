"""Prompts and pad tokens as scripts for TRL's PPO bring them."""

import pytest
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding

from rlhf.errors import ConfigError, DataError
from tests.tiny import tiny_tokenizer
from tests.trainers.ppo.trl_setup import token_prompts, train_in, trl_trainer

TOKENIZED = [{"input_ids": [5, 6, 7]}, {"input_ids": [8, 9]}]


def tokenizer_with(pad: str | None = None):
    """EOS is a token that the tiny policy draws now and then."""
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(188)
    if pad is not None:
        tokenizer.add_special_tokens({"pad_token": tokenizer.eos_token if pad == "eos" else pad})
    return tokenizer


@pytest.mark.parametrize("pad", ["eos", "[PAD]"])
def test_a_pad_token_that_is_eos_or_beyond_the_embedding_changes_nothing(tmp_path, pad):
    options = {"stop_token": "eos", "learning_rate": 1e-2, "response_length": 60}
    plain = train_in(tmp_path / "plain", options, processing_class=tokenizer_with())
    other = train_in(tmp_path / "other", options, processing_class=tokenizer_with(pad))
    assert 0 < plain.state.log_history[0]["response/finished"] < 1
    for one, same in zip(plain.roles.parameters(), other.roles.parameters(), strict=True):
        torch.testing.assert_close(one, same, atol=1e-6, rtol=1e-6)


def test_a_tokenizer_without_a_pad_token_is_refused(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(ConfigError, match="no pad_token"):
        trl_trainer(tmp_path, processing_class=tokenizer)


def prompts(trainer) -> list:
    return [row["prompt"] for row in trainer.train_dataset]


def two_rows(tmp_path, dataset, **arguments) -> list:
    options = {"per_device_train_batch_size": 2}
    return prompts(trl_trainer(tmp_path, options, train_dataset=dataset, **arguments))


def test_padding_is_taken_off(tmp_path):
    ids = [[0, 5, 6, 7], [0, 0, 8, 9]]
    wanted = [row["input_ids"] for row in TOKENIZED]
    masks = [[int(token != 0) for token in row] for row in ids]
    assert two_rows(tmp_path, Dataset.from_dict({"input_ids": ids})) == wanted
    assert two_rows(tmp_path, Dataset.from_dict({"input_ids": ids, "attention_mask": masks})) == wanted
    with_torch = Dataset.from_dict({"input_ids": ids}).with_format("torch")
    assert two_rows(tmp_path, with_torch) == wanted
    # Under a mask a token counts though it is the pad token.
    masks = [[1] * 4] * 2
    assert two_rows(tmp_path, Dataset.from_dict({"input_ids": ids, "attention_mask": masks})) == ids


def test_a_collator_of_ones_own_says_what_the_tokens_are(tmp_path):
    def begin_with_bos(rows):
        return {"input_ids": torch.tensor([[0, 1, *row["input_ids"]] for row in rows])}

    wanted = [[1, *row["input_ids"]] for row in TOKENIZED]
    assert two_rows(tmp_path, Dataset.from_list(TOKENIZED), data_collator=begin_with_bos) == wanted
    padding = DataCollatorWithPadding(tiny_tokenizer(), pad_to_multiple_of=8)
    assert two_rows(tmp_path, Dataset.from_list(TOKENIZED), data_collator=padding) == [[5, 6, 7], [8, 9]]


def test_any_data_set_with_a_length_will_do(tmp_path):
    assert two_rows(tmp_path, [{"prompt": "You are"}, {"prompt": "Film review:"}]) == ["You are", "Film review:"]


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{"text": "a"}] * 8, "neither a column input_ids nor a column prompt"),
        ([{"input_ids": [5]}] * 7 + [{"input_ids": [0, 0]}], "row 8: no token but padding"),
        ([{"prompt": "a"}] * 7 + [{"prompt": " "}], "row 8: empty"),
        ([{"input_ids": [5]}] * 7 + [{"input_ids": [9999]}], "row 8: token 9999"),
        ([{"input_ids": [5]}] * 7 + [{"input_ids": [5] * 510}], "row 8: 510 tokens and a response of 5, of 512"),
        ([{"prompt": "a"}] * 7 + [{"prompt": "a " * 510}], "row 8: .* of 512"),
    ],
)
def test_prompts_that_cant_be_answered_are_refused(tmp_path, rows, part):
    with pytest.raises(DataError, match=part):
        trl_trainer(tmp_path, train_dataset=Dataset.from_list(rows))


def test_data_sets_without_a_length_are_refused(tmp_path):
    for dataset in (None, {"train": token_prompts()}, token_prompts().to_iterable_dataset()):
        with pytest.raises(ConfigError, match="train_dataset is a"):
            trl_trainer(tmp_path, train_dataset=dataset)
