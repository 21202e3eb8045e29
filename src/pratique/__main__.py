"""The command `pratique`, also as `python -m pratique`."""

import gc
import os
import signal
import sys

from pratique.cli.signals import stop
from pratique.errors import InterruptedRunError


def main() -> None:
    """Run the program as a process: a signal ends it with code 7 from here on, also while it is being loaded.

    Who starts it may block SIGINT and SIGTERM until here (`env --block-signal`): then none is lost before this point.
    """
    _stand_in_for_closed()
    stop.install()
    gc.set_threshold(50_000, 20, 20)  # a run makes few cycles, and looking for them costs a twentieth of a short one
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        from pratique.cli.main import main as program  # noqa: PLC0415 - signals are heard before this takes its time

        program()
    except KeyboardInterrupt:
        stop.leave(InterruptedRunError.exit_code)
        raise


def _stand_in_for_closed() -> None:
    """Where whoever starts it closed stdin, stdout or stderr, what goes there goes nowhere: into no other file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process


if __name__ == "__main__":
    main()
