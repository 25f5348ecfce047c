from __future__ import annotations

import pickle

from videoar.cluster.ground.errors import InputError, StoreError


def test_errors_keep_their_fields_between_processes() -> None:
    """Ray pickles what an actor raises; an exception that cannot be rebuilt ends as a page about pickling."""
    for error in (
        InputError("a.b", 3, "is odd", "use 4"),
        InputError("a", None, "must be given", "give it"),
        StoreError("s3://x", "is full", "make room"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
    assert str(InputError("a.b", 3, "is odd", "use 4")) == "a.b=3: is odd; use 4"
    assert str(InputError("a", None, "must be given", "give it")) == "a: must be given; give it"
    assert str(StoreError("s3://x", "is full", "make room")) == "s3://x: is full; make room"
