"""What a forked process does with what it inherited: leave it to the parent."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call_in_forked_child(leave: Callable[[], object]) -> bool:
    """
    Have a bound method called in every process that is forked from now on, as long as its object lives.

    The registration cannot be undone, so it refers to the object weakly, and it should be made at first use rather than
    for every object that is made.

    Args:
        leave: Forgets what belongs to the parent, and returns it. It is kept as it is until the process ends: if the
            child let it be finalized, it would complain of tasks that never end and connections that nobody closed, and
            a TLS connection could take its leave from the server in the parent's name.

    Returns:
        True: there is no way back, so once is enough.
    """
    method = weakref.WeakMethod(leave)
    inherited: list[object] = []

    def after_in_child() -> None:
        alive = method()
        if alive is not None:
            inherited.append(alive())

    if hasattr(os, "register_at_fork"):  # systems without fork have no such function
        os.register_at_fork(after_in_child=after_in_child)
    return True
