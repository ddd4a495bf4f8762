"""Models that read one another's token ids must mean the same by them."""

from typing import Any

from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rlhf.errors import ModelError
from rlhf.models.scoring import bare

# Embeddings are padded to a round number of rows; more than so many beyond the vocabulary are another vocabulary.
SPARE_ROWS = 1024


def check_vocabularies(tokenizer: PreTrainedTokenizerBase, policy: Any, others: dict[str, Any]) -> None:
    """Refuse models that would read the policy's token ids as other words.

    Their embeddings must hold the tokens that the policy can write. Where a tokenizer lies beside the weights that a
    model was loaded from, it must know these by the same ids.

    Args:
        tokenizer: the policy's.
        others: the models that read its tokens, by their names in the message.

    Raises:
        ModelError: names the model and what differs.
    """
    size = rows_of(policy)
    used = {token: number for token, number in tokens_read(tokenizer).items() if number < size}
    needed = max(used.values(), default=-1) + 1
    for name, model in others.items():
        rows = rows_of(model)
        if rows < needed:
            problem = f"its embedding has {rows:,} rows, and the policy's tokenizer ids up to {needed - 1:,}"
        elif (other := _tokenizer_beside(model)) is not None:
            problem = _difference(used, tokenizer.get_added_vocab(), other.get_vocab())
        else:
            unlike = rows != size and rows > needed + SPARE_ROWS
            problem = f"its embedding has {rows:,} rows, and the policy's {size:,}" if unlike else ""
        if problem:
            raise ModelError(
                f"{name} is to read the policy's token ids, and has another vocabulary: {problem}.",
                remedy="use a model of the policy's family. A reward model with a tokenizer of its own works in "
                "recipes/ppo.py (--reward_model_path), which gives it texts.",
            )


def tokens_read(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The vocabulary without a pad token that serves for nothing else."""
    vocabulary: dict[str, int] = dict(tokenizer.get_vocab())
    if tokenizer.pad_token is not None and tokenizer.pad_token != tokenizer.eos_token:
        vocabulary.pop(str(tokenizer.pad_token), None)
    return vocabulary


def rows_of(model: Any) -> int:
    """Rows of the embedding."""
    return int(bare(model).get_input_embeddings().weight.shape[0])


def read_unknown_ids_as_zero(model: Any, largest: int) -> None:
    """Let a model whose embedding ends before the largest id read such ids as token 0, for good.

    Scripts add a pad token and resize no model, or not all of them. TRL put 0 wherever it stood, and masked it out.
    """
    rows = rows_of(model)
    if largest < rows:
        return

    def only_known(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0].masked_fill(args[0] >= rows, 0), *args[1:])

    bare(model).get_input_embeddings().register_forward_pre_hook(only_known)


def _difference(used: dict[str, int], added: dict[str, int], theirs: dict[str, int]) -> str:
    """The first token that means something else there, in words; empty if none. Added tokens may be missing there."""
    for token, number in used.items():
        if token not in theirs and token not in added:
            return f"its tokenizer doesn't know {token!r}"
        if theirs.get(token, number) != number:
            return f"{token!r} is {theirs[token]:,} for its tokenizer, and {number:,} for the policy's"
    return ""


def _tokenizer_beside(model: Any) -> PreTrainedTokenizerBase | None:
    """The tokenizer in the folder, or in the cache of the hub model, that a model was loaded from; None if unknown."""
    source = str(bare(model).config._name_or_path or "")
    try:
        found: PreTrainedTokenizerBase | None = (
            AutoTokenizer.from_pretrained(source, local_files_only=True) if source else None
        )
    except (OSError, ValueError, ImportError):  # none there
        return None
    return found
