"""What libraries say in vain is hushed; everything else is heard."""

import logging
import warnings

import pytest

from rlhf.trainers.quiet import hush


def test_only_the_known_lines_are_hushed(recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        hush()
        warnings.warn("`is_gradient_checkpointing` is deprecated and will be removed", FutureWarning, stacklevel=1)
        warnings.warn("something else is deprecated", FutureWarning, stacklevel=1)
    assert [str(warning.message) for warning in recwarn] == ["something else is deprecated"]
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.warning("Failed to load CPU gemm_4bit_forward from kernels-community: no kernels")
    logger.warning("something else failed")
    assert [record.getMessage() for record in caplog.records] == ["something else failed"]
