"""From a row to token ids, together with the mask of the tokens that are trained.

Ids and mask are those that TRL's trainers make of the same row: plain prompt and completion are tokenized
joined, the completion ends with EOS, and it begins where the tokens of the prompt alone and of both differ;
conversations go through the chat template. Of a whole conversation (`messages`) TRL trains every token, or
the assistant's if the template marks them; here it is always the assistant's, found by rendering the turns
one after the other where there are no marks.

The tokenizer is the caller's, so that this module needs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlhf.data.messages import shared_prefix
from rlhf.data.schema import Kind
from rlhf.errors import DataError, ModelError

Text = str | list[dict[str, Any]]
GENERATION_MARK = "generation %}"


class Tokenizer(Protocol):
    """What is used of a `PreTrainedTokenizerBase`."""

    chat_template: Any

    def __call__(self, text: Any, /, **options: Any) -> Any: ...

    def apply_chat_template(self, conversation: Any, /, **options: Any) -> Any: ...

    def decode(self, token_ids: Any, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Encoded:
    """A sequence and, token by token, whether it is trained (or, of a comparison, judged)."""

    input_ids: list[int]
    completion_mask: list[bool]

    @property
    def prompt_length(self) -> int:
        """The number of tokens before the first that is trained."""
        return self.completion_mask.index(True) if True in self.completion_mask else len(self.input_ids)

    def labels(self, ignored: int = -100) -> list[int]:
        """The ids with `ignored` where the mask is False, as a trainer takes them."""
        return [token if kept else ignored for token, kept in zip(self.input_ids, self.completion_mask, strict=True)]

    def cut(self, max_length: int) -> "Encoded":
        """The first `max_length` tokens, as TRL cuts."""
        return Encoded(self.input_ids[:max_length], self.completion_mask[:max_length])


def encode(tokenizer: Tokenizer, row: Mapping[str, Any], kind: Kind) -> Encoded:
    """The ids and the mask of a row of kind "sft", "prompts" or "text"; for two responses see `encode_pair`.

    Raises:
        ModelError: the row is a conversation, and the tokenizer has no chat template (or one that refuses
        it).
    """
    if kind == "sft" and row.get("messages") is not None:
        return encode_conversation(tokenizer, row["messages"])
    if kind == "sft":
        return encode_completion(tokenizer, row["prompt"], row["completion"])
    if kind == "prompts":
        ids = prompt_ids(tokenizer, row["prompt"])
        return Encoded(ids, [False] * len(ids))
    if kind == "text":
        ids = _ids(tokenizer, _ended(tokenizer, row["text"]))
        return Encoded(ids, [True] * len(ids))
    raise DataError(f"A row of kind {kind!r} has two responses.", remedy="Use encode_pair.")


def encode_pair(tokenizer: Tokenizer, row: Mapping[str, Any]) -> tuple[Encoded, Encoded]:
    """Chosen and rejected (of a tie: first and second), each with the prompt before it, which isn't in the mask."""
    names = ("first", "second") if row.get("verdict") else ("chosen", "rejected")
    one, other = (encode_completion(tokenizer, row.get("prompt"), row[name]) for name in names)
    return one, other


def encode_completion(tokenizer: Tokenizer, prompt: Text | None, completion: Text) -> Encoded:
    """A prompt and its completion; without a prompt, all tokens count."""
    if prompt is None:
        ids = _ids(tokenizer, _ended(tokenizer, completion))
        return Encoded(ids, [True] * len(ids))
    before = prompt_ids(tokenizer, prompt)
    ids = _ids(tokenizer, prompt + _ended(tokenizer, completion))  # type: ignore[operator]
    start = shared_prefix(before, ids)
    return Encoded(ids, [at >= start for at in range(len(ids))])


def prompt_ids(tokenizer: Tokenizer, prompt: Text) -> list[int]:
    """The tokens before an answer: a plain prompt as it is, a conversation with the head of the assistant's turn."""
    return _ids(tokenizer, prompt, add_generation_prompt=True)


def encode_conversation(tokenizer: Tokenizer, messages: list[dict[str, Any]]) -> Encoded:
    """A whole conversation with the assistant's turns in the mask, each from after its head to its end."""
    if GENERATION_MARK in str(tokenizer.chat_template):
        marked = _template(tokenizer, messages, return_assistant_tokens_mask=True)
        return Encoded(list(marked["input_ids"]), [bool(bit) for bit in marked["assistant_masks"]])
    ids = _ids(tokenizer, messages)
    mask = [False] * len(ids)
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        head = _ids(tokenizer, messages[:at], add_generation_prompt=True)
        turn = _ids(tokenizer, messages[: at + 1])
        start, end = shared_prefix(head, ids), shared_prefix(turn, ids)
        mask[start:end] = [True] * (end - start)
    return Encoded(ids, mask)


def _ids(tokenizer: Tokenizer, text: Text, **options: Any) -> list[int]:
    if isinstance(text, str):
        return list(tokenizer(text)["input_ids"])
    return list(_template(tokenizer, text, **options)["input_ids"])


def _template(tokenizer: Tokenizer, messages: Sequence[dict[str, Any]], **options: Any) -> Any:
    if not tokenizer.chat_template:
        raise ModelError(
            "The data are conversations, and the tokenizer has no chat template.",
            remedy="Use an instruction-tuned model, set tokenizer.chat_template, or give the data as plain text.",
        )
    try:
        return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except Exception as error:  # templates raise jinja's errors, and through it any of Python's
        roles = ", ".join(message["role"] for message in messages)
        raise ModelError(
            f"The model's chat template refuses a conversation of the turns {roles}: {error}",
            remedy="Bring the conversation to the form that this model knows (many take no system message).",
        ) from error


def _ended(tokenizer: Tokenizer, text: Text) -> Text:
    """Plain text with EOS at its end, once."""
    end = getattr(tokenizer, "eos_token", None)
    return text + end if isinstance(text, str) and end and not text.endswith(end) else text
