"""Ctrl-C and SIGTERM end a run cleanly: what is committed stays, the next run goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from pratique.errors import InterruptedRunError

_EXIT = InterruptedRunError.exit_code
_AGAIN_SECONDS = 0.01


class Stop:
    """Remembers that a stop was asked for: some libraries turn the KeyboardInterrupt into an error of their own."""

    def __init__(self) -> None:
        self.asked = False
        self._thrown_away = False
        self.tell: Callable[[str], object] | None = None  # whoever moves lines on the terminal, while it does

    def install(self) -> None:
        """From now on the first SIGINT or SIGTERM raises KeyboardInterrupt in the main thread, the second ends it all.

        A process that ends at once loses nothing either: that is what the order of effects is for (Invariants 1 to 4).
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)
        signal.signal(signal.SIGALRM, self._ask_again)
        sys.unraisablehook = self._unraisable

    def leave(self, code: int) -> None:
        """End the process with this code if a stop was asked for, whatever else is going on.

        Upstream: a KeyboardInterrupt that passes through exec() of a text (dataclasses and named tuples are made so, in
        every import) makes CPython end itself by SIGINT at its exit, and the exit code is lost.
        """
        if self.asked:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
                    stream.flush()
            os._exit(code)

    def over(self) -> None:
        """From now on signals change nothing: the work is done, and its exit code says how."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    def _unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Ask again, a moment later, for the stop that Python threw away; of everything else tell as Python does.

        Upstream: an exception that leaves a finalizer or the callback of a weak reference goes nowhere, and a handler
        may run in one: https://docs.python.org/3/library/signal.html#handlers-and-exceptions
        """
        if self.asked and issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._thrown_away = True
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            sys.__unraisablehook__(unraisable)

    def _ask_again(self, _: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)  # a database at work may have to be interrupted before
        if callable(handler):
            handler(signal.SIGINT, frame)

    def _asked(self, number: int, _: FrameType | None) -> None:
        if self._thrown_away:
            self._thrown_away = False
            raise KeyboardInterrupt
        if self.asked:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the progress display hides the cursor
            os._exit(_EXIT)
        self.asked = True
        told = f"stopping ({signal.Signals(number).name}); once more to stop at once"
        if self.tell:
            self.tell(told)
        else:
            os.write(2, f"\n{told}\n".encode())
        raise KeyboardInterrupt


stop = Stop()
