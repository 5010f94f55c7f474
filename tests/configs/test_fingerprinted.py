"""Settings in fingerprints: what was added later stays out while it has its default, and what only says how never enters."""

from typing import Annotated

from configs.settings import ADDED, APART, Settings


class Inner(Settings):
    old: int = 1
    late: Annotated[float, ADDED] = 0.5


class Outer(Settings):
    size: int = 2
    late: Annotated[tuple[int, ...], ADDED] = ()
    threads: Annotated[int, APART] = 4
    inner: Inner = Inner()


def test_later_settings_stay_out_while_they_have_their_default() -> None:
    assert Outer().fingerprinted() == {"size": 2, "inner": {"old": 1}}
    assert Outer(late=(3,)).fingerprinted() == {"size": 2, "late": [3], "inner": {"old": 1}}
    assert Outer(inner=Inner(late=0.25)).fingerprinted() == {"size": 2, "inner": {"old": 1, "late": 0.25}}


def test_what_only_says_how_never_enters() -> None:
    assert Outer(threads=9).fingerprinted() == Outer().fingerprinted()
    assert Outer().fingerprinted(exclude=("inner",)) == {"size": 2}
