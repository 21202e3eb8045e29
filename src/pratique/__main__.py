"""The command `pratique`, also as `python -m pratique`."""

import gc
import os
import signal
import sys

from pratique.cli.signals import stop
from pratique.errors import InterruptedRunError


def _open_streams() -> None:
    """Put /dev/null where the starter closed a standard stream (`>&-`): no file of ours may take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - to the very end


def main() -> None:
    """Run the program as a process: a signal ends it with code 7 from here on, also while it is being loaded.

    Who starts it may block SIGINT and SIGTERM until here (`env --block-signal`): then none is lost before this point.
    """
    _open_streams()
    try:
        stop.install()
        # A run makes few cycles, and looking for them costs a twentieth of a short one.
        gc.set_threshold(50_000, 20, 20)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        from pratique.cli.main import main as program  # noqa: PLC0415 - signals are heard before this takes its time

        program()
    except KeyboardInterrupt:
        stop.leave(InterruptedRunError.exit_code)
        raise


if __name__ == "__main__":
    main()
