import threading

import pytest

from distill.background import in_background


def test_whoever_begins_it_does_not_wait_and_gets_what_comes_of_it():
    gate = threading.Event()
    future = in_background(lambda: gate.wait(5.0), name="waits")
    assert not future.done()
    gate.set()
    assert future.result(5.0) is True


def test_what_fails_is_raised_where_the_result_is_taken():
    def fail():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        in_background(fail, name="fails").result(5.0)
