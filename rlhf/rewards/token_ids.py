"""A reward model that reads the policy's own tokens: the two have one vocabulary."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from rlhf.data.chat import encode_completion
from rlhf.models.heads import ScalarHead
from rlhf.models.roles import last_token_scores
from rlhf.models.scoring import bare, hidden_states
from rlhf.rewards.base import Scores, Text
from rlhf.rewards.model import ModelReward


class TokenIdsReward(ModelReward):
    """Scores prompt and completion as the token ids that the policy was given and drew, without a detour over text.

    What is read is ended as for any reward model (see `ModelReward`): a completion without a stop token gets an EOS.
    A conversation goes through the chat template, which ends it in the form that the reward model was trained on. The
    score is taken where the model's own forward takes it: at the last token that isn't its own pad token.
    """

    def __init__(
        self,
        model: Any,
        head: ScalarHead,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = 32,
        name: str = "reward_model",
    ):
        """
        Args:
            model: a sequence classifier or its PEFT wrapper.
            head: its score head.
            tokenizer: the policy's, with an EOS.
            batch_size: sequences in each forward.
            name: what the score is logged under.
        """
        super().__init__(model, tokenizer, batch_size=batch_size, name=name)
        self.head = head
        self.own_pad: int | None = bare(model).config.get_text_config().pad_token_id

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Scores:
        """Scores in the order given.

        Args:
            prompts, completions: texts, or lists of messages.
            columns: `prompt_ids` and `completion_ids` are the tokens, `finished` says whether a stop token was drawn.
        """
        ids = zip(columns["prompt_ids"], columns["completion_ids"], columns["finished"], strict=True)
        return self.score_rows(
            [
                tuple([*before, *ended(drawn, finished, self.tokenizer.eos_token_id)])
                if isinstance(prompt, str)
                else tuple(encode_completion(self.tokenizer, prompt, completion).input_ids)
                for prompt, completion, (before, drawn, finished) in zip(prompts, completions, ids, strict=True)
            ]
        )

    @torch.inference_mode()
    def score_ids(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = hidden_states(self.model, input_ids, attention_mask)
        read = attention_mask if self.own_pad is None else attention_mask & (input_ids != self.own_pad)
        return last_token_scores(self.head, hidden, read)


def ended(response_ids: Sequence[int], finished: bool, eos_token_id: int) -> list[int]:
    """A response as a reward model reads it: one that came to no stop token gets an EOS."""
    ends = finished or list(response_ids[-1:]) == [eos_token_id]
    return [*response_ids] if ends else [*response_ids, eos_token_id]
