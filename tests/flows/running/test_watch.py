"""What is asked of a run in Prefect: a pause holds it, and one that ends without an answer ends it."""

import pytest
from prefect.states import Cancelling, Failed, Paused, Running

from flows.errors import Interrupted
from flows.running.watch import PauseEnded, Watch, stopped_state, watching
from tasks.stage.attempts.stopping import asked_to_stop, go_on


def test_a_pause_holds_until_the_run_is_resumed() -> None:
    watch = Watch()
    watch.see(Paused())
    assert watch.paused
    watch.see(None)
    assert watch.paused, "a server that does not answer resumes nothing"
    watch.see(Running())
    assert not watch.paused
    watch.see(Failed(message="of an earlier attempt"))
    assert not watch.expired


def test_a_pause_that_ends_unanswered_ends_the_run_as_the_server_says() -> None:
    def run() -> None:
        with watching() as watch:
            watch.see(Paused())
            watch.see(Failed(message="The flow was paused and never resumed"))
            assert watch.expired
            assert asked_to_stop()
            raise Interrupted("stopped at stage fuse")

    try:
        with pytest.raises(PauseEnded, match="not resumed in time; stopped at stage fuse"):
            run()
        assert not asked_to_stop(), "the next run of this process is not asked"
    finally:
        go_on()
    assert stopped_state(PauseEnded("paused")).is_failed()
    assert stopped_state(Interrupted("stopped")).is_cancelled()


def test_a_cancel_stops_it() -> None:
    try:
        watch = Watch()
        watch.see(Cancelling())
        assert watch.cancelled
        assert asked_to_stop()
        assert not watch.expired
    finally:
        go_on()
