"""Fold adapters into their bases, in float32: `python -m ppo_bench.merge ADAPTER FOLDER [ADAPTER FOLDER ...]`.

TRL 1.12.0 starts from a whole model, and scores with one.
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
import sys

from rlhf.errors import exit_on_error
from rlhf.models.export import merge_adapter


@exit_on_error()
def main() -> None:
    places = sys.argv[1:]
    for adapter, folder in zip(places[::2], places[1::2], strict=True):
        print(f"  {adapter} -> {folder}", flush=True)
        merge_adapter(adapter, folder, dtype="float32")


if __name__ == "__main__":
    main()
