"""The data set of a script for TRL's PPO as our trainer takes it: one column, `prompt`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from datasets import Dataset
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from rlhf.data.chat import prompt_ids
from rlhf.data.messages import text_problem
from rlhf.errors import ConfigError, DataError
from rlhf.generation import is_token_ids

TOKENS, PROMPT = "input_ids", "prompt"


def prompts_of(
    dataset: Any, tokenizer: PreTrainedTokenizerBase, collator: Callable[[list[Any]], Any] | None, name: str
) -> Dataset:
    """The prompts as token ids where the data set has `input_ids`, else as its column `prompt` holds them.

    Args:
        dataset: rows with `input_ids`, padded or not, or with `prompt`: a text or a list of messages.
        tokenizer: whose pad tokens are taken off.
        collator: one of the script's own is asked, once for each row, what its tokens are.
        name: of the argument, for messages.

    Raises:
        ConfigError: it is no data set with a length.
        DataError: it has neither column, or rows without a prompt.
    """
    if isinstance(dataset, dict) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ConfigError(
            f"{name} is a {type(dataset).__name__}; PPO needs one data set whose length is known.",
            remedy="give a datasets.Dataset.",
        )
    rows = _rows(dataset)
    if collator is not None and not isinstance(collator, DataCollatorWithPadding):
        prompts: list[Any] = [_collated(collator, row, tokenizer) for row in rows]
    elif len(rows) > 0 and TOKENS in rows[0]:
        pad = tokenizer.pad_token_id
        prompts = [_without_padding(row[TOKENS], row.get("attention_mask"), pad) for row in rows]
    elif len(rows) > 0 and PROMPT in rows[0]:
        prompts = [row[PROMPT] for row in rows]
    else:
        raise DataError(
            f"{name} has neither a column input_ids nor a column prompt.",
            remedy="tokenize the prompts into input_ids, or give them as prompt: texts, or lists of messages.",
        )
    _require_prompts(prompts, name)
    return Dataset.from_dict({PROMPT: prompts})


def require_fit(dataset: Dataset, tokenizer: Any, *, context: int | None, rows: int, response_length: int) -> None:
    """Refuse prompts with tokens that the policy doesn't know, or that leave no room for a response.

    Args:
        dataset: prompts.
        context: the most tokens that the model takes; None where it doesn't say.
        rows: of the policy's embedding.
        response_length: the longest response in tokens.

    Raises:
        DataError: names the rows.
    """
    problems: list[str] = []
    for number, prompt in enumerate(dataset[PROMPT], start=1):
        ids = prompt if is_token_ids(prompt) else prompt_ids(tokenizer, prompt)
        if max(ids) >= rows or min(ids) < 0:
            problems.append(f"row {number}: token {max(ids)}, and the policy knows {rows:,}")
        if context is not None and len(ids) + response_length > context:
            problems.append(f"row {number}: {len(ids):,} tokens and a response of {response_length:,}, of {context:,}")
    if problems:
        raise DataError(
            f"{len(problems):,} prompts can't be answered by the policy.",
            problems=problems,
            remedy="tokenize them by the policy's tokenizer, and shorten or leave out the long ones.",
        )


def _rows(dataset: Any) -> Sequence[dict[str, Any]]:
    """Plain rows, whatever format the data set returns them in."""
    if isinstance(dataset, Dataset):
        return dataset.with_format(None).to_list()  # type: ignore[no-any-return]
    return [dict(dataset[i]) for i in range(len(dataset))]


def _collated(collator: Callable[[list[Any]], Any], row: dict[str, Any], tokenizer: Any) -> list[int]:
    batch = collator([row])
    mask = batch["attention_mask"][0] if "attention_mask" in batch else None
    return _without_padding(batch[TOKENS][0], mask, tokenizer.pad_token_id)


def _without_padding(ids: Iterable[Any], mask: Iterable[Any] | None, pad: int | None) -> list[int]:
    """The tokens under the mask; without one, those between the pad tokens on both sides."""
    tokens = [int(token) for token in ids]
    if mask is not None:
        return [token for token, real in zip(tokens, mask, strict=True) if real]
    real = [at for at, token in enumerate(tokens) if token != pad]
    return tokens[real[0] : real[-1] + 1] if real else []


def _require_prompts(prompts: Sequence[Any], name: str) -> None:
    problems = [f"row {number}: {problem}" for number, p in enumerate(prompts, start=1) if (problem := _problem(p))]
    if problems:
        raise DataError(
            f"{len(problems):,} rows of {name} have no prompt.",
            problems=problems,
            remedy="leave them out, or give each a prompt.",
        )


def _problem(prompt: Any) -> str | None:
    if isinstance(prompt, list) and not prompt:
        return "no token but padding"
    return None if is_token_ids(prompt) else text_problem(prompt)
