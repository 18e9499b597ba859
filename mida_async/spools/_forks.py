"""What a forked process does with the lock that it inherited: let go of it, without giving it free."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call_in_forked_child(leave: Callable[[], None]) -> None:
    """
    Have a bound method called in every process that is forked from now on, as long as its object lives.

    Args:
        leave: Forgets what belongs to the parent. Its object is referred to weakly.
    """
    method = weakref.WeakMethod(leave)

    def after_in_child() -> None:
        alive = method()
        if alive is not None:
            alive()

    if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows alone cannot fork
        os.register_at_fork(after_in_child=after_in_child)
