"""Random draws happen where their generator is: a generator of one device in a call of another dies at the first step.

No GPU is needed: the generator is a stand-in on the device ``meta``, and what torch is asked for is looked at.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from models.adaptation import class_mixing
from models.seamless import proposals

ROOMS = ("geometry", "metrics", "models", "scenes", "tasks")
DRAWS = re.compile(r"torch\.(?:randperm|randint|rand|randn|normal|bernoulli|multinomial)\([^\n]*generator=[^\n]*")


@pytest.mark.parametrize(
    "draw",
    [
        lambda generator: proposals.sample(torch.tensor([1, 1, 0, 0, 0]), 4, 0.5, generator),
        lambda generator: class_mixing._half(torch.tensor([0, 1, 2, 255]), generator),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_draw_asks_for_the_device_of_its_generator(draw, device, monkeypatch):
    asked, real = [], torch.randperm

    def randperm(count, generator=None, device="cpu"):
        asked.append((generator.device, torch.device(device)))
        return real(count)

    monkeypatch.setattr(torch, "randperm", randperm)
    draw(SimpleNamespace(device=torch.device(device)))
    assert asked
    assert all(own == given == torch.device(device) for own, given in asked)


def test_every_draw_with_a_generator_names_a_device():
    found = [
        (path.name, line)
        for room in ROOMS
        for path in Path(room).rglob("*.py")
        for line in DRAWS.findall(path.read_text(encoding="utf-8"))
    ]
    assert found
    assert [one for one in found if "device=" not in one[1]] == []


def test_what_is_drawn_is_what_was_drawn_before():
    generator = torch.Generator().manual_seed(3)
    expected = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(proposals._shuffled(9, generator), expected)
