"""How long rows are in tokens, and what a maximum length does to them.

TRL cuts or drops long rows without saying so: an SFT row is cut at `max_length` and dropped if no token of
its answer is left, a reward row over `max_length` is dropped. `Lengths` counts both before training starts,
so that a recipe can say it, and refuses prompts that leave no room for an answer, naming their lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rlhf.data.chat import Tokenizer, encode, encode_pair
from rlhf.data.schema import Kind
from rlhf.errors import DataError


@dataclass(frozen=True)
class Lengths:
    """Token counts by row; of a comparison, those of the longer response. `places` says where each row stands."""

    prompt: list[int]
    total: list[int]
    places: list[str]

    def over(self, max_length: int) -> list[int]:
        """The rows that are longer than `max_length`, by index."""
        return [at for at, length in enumerate(self.total) if length > max_length]

    def without_answer(self, max_length: int) -> list[int]:
        """The rows whose prompt alone fills `max_length`, so that no token of the answer is left."""
        return [at for at, length in enumerate(self.prompt) if length >= max_length]

    def require_prompts_fit(self, context: int, *, reserve: int = 1) -> None:
        """Refuse prompts that don't fit.

        Args:
            context: the largest number of tokens that the model, or `max_length`, allows.
            reserve: the tokens that have to stay free for the answer.

        Raises:
            DataError: names each prompt that is too long, with its line and its length.
        """
        room = context - reserve
        long = [at for at, length in enumerate(self.prompt) if length > room]
        if not long:
            return
        raise DataError(
            f"{len(long):,} of {len(self.prompt):,} prompts are longer than the {room:,} tokens that are free for them "
            f"(context {context:,}, kept for the answer {reserve:,}).",
            problems=[f"{self.places[at]}: {self.prompt[at]:,} tokens" for at in long],
            remedy="Shorten or remove these prompts, or allow a longer context (max_length) if the model has one.",
        )

    def warning(self, max_length: int | None, outcome: Literal["cut", "dropped"]) -> str:
        """What a recipe has to say about long rows before it trains; empty if there are none.

        Args:
            max_length: the trainer's limit; None: no limit. outcome: what the trainer does to rows above it:
            SFT cuts them (and drops those without an answer left), a
                reward trainer drops them.
        """
        over = self.over(max_length) if max_length is not None else []
        if max_length is None or not over:
            return ""
        share = len(over) / len(self.total)
        said = f"{len(over):,} of {len(self.total):,} rows ({share:.1%}) are longer than max_length={max_length:,}"
        said += f" and will be {outcome}"
        lost = self.without_answer(max_length) if outcome == "cut" else []
        if lost:
            said += f"; {len(lost):,} of them, with no token of the answer left, will be dropped"
        return f"{said}. The longest has {max(self.total):,} tokens (first: {self.places[over[0]]})."


def measure_lengths(tokenizer: Tokenizer, rows: Sequence[Mapping[str, Any]], kind: Kind) -> Lengths:
    """The lengths of rows in the tokens that a model sees, chat template and EOS included."""
    prompts: list[int] = []
    totals: list[int] = []
    places: list[str] = []
    for number, row in enumerate(rows, start=1):
        pair = kind in ("preference", "tie")
        sequences = encode_pair(tokenizer, row) if pair else (encode(tokenizer, row, kind),)
        prompts.append(max(sequence.prompt_length for sequence in sequences))
        totals.append(max(len(sequence.input_ids) for sequence in sequences))
        places.append(str(getattr(row, "place", None) or f"row {number}"))
    return Lengths(prompts, totals, places)
