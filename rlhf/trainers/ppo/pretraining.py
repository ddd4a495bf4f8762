"""PPO-ptx: texts mixed in, so that the policy keeps its language (Ouyang et al., arXiv 2203.02155, equation 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rlhf.data import Kind, Row
from rlhf.data.chat import Tokenizer, encode
from rlhf.errors import ConfigError
from rlhf.models.roles import Texts


@dataclass(frozen=True)
class EncodedText:
    """Token ids, and which of them are to be predicted."""

    input_ids: list[int]
    loss_mask: list[bool]


class PretrainingMix:
    """Draws batches of texts. Which texts a step gets follows from the seed and the step: a resume draws the same."""

    def __init__(self, texts: Sequence[EncodedText], pad_token_id: int, *, batch_size: int, seed: int):
        """
        Args:
            texts: at least `batch_size` of them.
            batch_size: texts in each optimizer step, over all processes and micro-batches.

        Raises:
            ConfigError: there are too few.
        """
        if len(texts) < batch_size:
            raise ConfigError(
                f"{len(texts)} texts with something to predict are too few for batches of {batch_size}.",
                remedy="give more texts, or lower ptx_batch_size.",
            )
        self.texts = list(texts)
        self.pad_token_id = pad_token_id
        self.batch_size = batch_size
        self.seed = seed

    def batch(self, step: int) -> list[EncodedText]:
        """The texts of an optimizer step, the same on every process."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, step], counter=[0, 0, 1, 0]))
        chosen = generator.choice(len(self.texts), self.batch_size, replace=False)
        return [self.texts[i] for i in chosen]

    def pad(self, texts: Sequence[EncodedText], device: torch.device) -> Texts:
        """Padded on the left."""
        width = max(len(text.input_ids) for text in texts)
        input_ids = torch.full((len(texts), width), self.pad_token_id)
        attention_mask, loss_mask = (torch.zeros(len(texts), width, dtype=torch.bool) for _ in range(2))
        for row, text in enumerate(texts):
            columns = slice(width - len(text.input_ids), width)
            input_ids[row, columns] = torch.tensor(text.input_ids)
            attention_mask[row, columns] = True
            loss_mask[row, columns] = torch.tensor(text.loss_mask)
        return Texts(input_ids.to(device), attention_mask.to(device), loss_mask.to(device))


def encode_texts(tokenizer: Tokenizer, rows: Sequence[Row], kind: Kind, max_length: int) -> list[EncodedText]:
    """Token ids of rows of kind "sft" or "text", cut to a length; a row without a token to predict is left out.

    Of a text every token but the first is predicted, of an example its completion.
    """
    encoded = [encode(tokenizer, row, kind).cut(max_length) for row in rows]
    texts = [EncodedText(one.input_ids, [False, *one.completion_mask[1:]]) for one in encoded if one.input_ids]
    return [text for text in texts if any(text.loss_mask)]


def require_coefficient_and_texts(coefficient: float, texts_given: bool) -> None:
    """
    Raises:
        ConfigError: one of the two is given without the other.
    """
    if (coefficient > 0) != texts_given:
        raise ConfigError(
            f"ptx_coef is {coefficient:g}, and {'' if texts_given else 'no '}texts to mix in are given.",
            remedy="give both ptx_coef and ptx_dataset_name, or neither.",
        )
