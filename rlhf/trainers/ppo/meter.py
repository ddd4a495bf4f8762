"""Means over tokens or sequences, gathered over micro-batches and processes, for the log."""

from collections.abc import Callable

import torch
from accelerate.utils import gather_object


class Meter:
    """Adds up sums and counts by name; a mean is made when the log asks for it."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, name: str, values: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Add values, those under the mask only where one is given."""
        values = values.detach().float()
        counted = torch.ones_like(values) if mask is None else mask.float()
        entry = torch.stack([(values * counted).sum(), counted.sum()])
        self._sums[name] = self._sums[name] + entry if name in self._sums else entry

    def means(self, sum_over_processes: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, float]:
        """The mean of each name over all processes, which all have to ask, whatever they have seen; and start anew."""
        names = sorted(set(gather_object(list(self._sums))))
        if not names:
            return {}
        nothing = torch.zeros(2)
        totals = sum_over_processes(torch.stack([self._sums.get(name, nothing).cpu() for name in names]))
        self._sums = {}
        return {name: float(total / count) for name, (total, count) in zip(names, totals, strict=True) if count > 0}
