import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # Before huggingface_hub is imported, which reads it once.


@pytest.fixture(autouse=True)
def _fresh_teachers():
    """Each test loads its own teachers."""
    from models.teachers import registry

    registry._loaded.clear()
    yield
    registry._loaded.clear()
