"""Errors cross from one process to another as they are."""

import pickle

import saccade
from saccade.runtime.errors import DataError


def test_an_error_is_the_same_after_pickling() -> None:
    own = DataError("There is nothing.", code="301", where="here", fix="look there")
    again = pickle.loads(pickle.dumps(own))
    assert isinstance(again, DataError)
    assert isinstance(again, saccade.SaccadeError)
    assert (str(again), again.code, again.exit_code) == (str(own), "SACCADE-E301", 3)
