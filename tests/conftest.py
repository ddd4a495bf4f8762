"""What holds for all tests."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def same_arithmetic_everywhere() -> Iterator[None]:
    """A CPU with bfloat16 instructions computes in float32 too where a test lets `dtype` choose in this process.

    Expected values are exact to float32; what bfloat16 changes is tested where a test asks for it by name. Programs
    that a test launches compute as the machine does.
    """
    without = {name: has for name, has in torch.cpu.get_capabilities().items() if not name.endswith("bf16")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: without)
        yield
