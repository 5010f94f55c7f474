"""More processes than GPUs are refused on the machine that would train."""

from __future__ import annotations

import pytest
import torch

from configs.settings import ConfigError
from tasks.train.processes import in_processes

NOTHING = "builtins:print"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_more_processes_than_gpus_are_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # where tests run there is none
    with pytest.raises(ConfigError, match=r"processes: 3 take a GPU each, but this machine has 2; write processes: 2"):
        in_processes(3, NOTHING, None, device=device)
