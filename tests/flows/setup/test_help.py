"""What --help loads, and how long it takes."""

import resource
import statistics
import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["doctor", "--help"], ["--show-completion"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['panolabel', *sys.argv[1:]]\nfrom flows.cli import main\n"
        "try:\n main()\nexcept SystemExit:\n pass\nprint('loaded', *sys.modules, file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = set(told.stderr.split("loaded ", 1)[1].split())
    # Typer itself takes pydantic to parse a command's arguments; our models are what would be slow.
    heavy = {"torch", "prefect", "zarr", "transformers", "configs.schema", "numpy", "pyarrow", "cv2", "fsspec", "dask", "scipy"}
    assert not loaded & heavy


def test_help_answers_in_a_moment() -> None:
    def seconds(*command: str) -> float:
        """Of processor time: what others do on the machine must not count."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = statistics.median(seconds("-c", "pass") for _ in range(3))
    for arguments in (["--help"], ["run", "--help"]):
        ours = statistics.median(seconds("-m", "flows.cli", *arguments) for _ in range(3))
        assert ours < max(0.4, 20 * bare)
