"""Kernels run here by Triton's interpreter, on the CPU."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def interpreted() -> Iterator[None]:
    """Kernels are made when they are first imported, in the form that the variable asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        yield
