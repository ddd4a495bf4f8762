"""Import this first in a program: it hushes what libraries say that a user can do nothing about.

Each entry says what is said, by whom, and why it may be left unsaid. Everything else is let through.
"""

import logging
import os
import warnings

# The text of a warning, from its beginning (a regular expression), and why it is hushed.
WARNINGS = {
    r"`is_gradient_checkpointing` is deprecated": "peft 0.21 and trl 1.16 ask transformers 5.24 by the old name",
    r"`gradient_checkpointing` is deprecated": "TRL's configurations know the option by this name only",
    r"`torch.jit.script_method` is deprecated": "bitsandbytes 0.50 at import under torch 2.13",
}
LOG_LINES = {
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward",  # an optional speed-up
}


class _Hush(logging.Filter):
    """Drops the log records that begin with a given text."""

    def __init__(self, beginning: str):
        super().__init__()
        self.beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.beginning)


def hush() -> None:
    """Hush the known messages, the progress bars of loading and saving weights, and TRL's telemetry."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for text in WARNINGS:
        warnings.filterwarnings("ignore", message=text)
    for logger, beginning in LOG_LINES.items():
        logging.getLogger(logger).addFilter(_Hush(beginning))
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]


hush()
