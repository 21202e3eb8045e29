"""The command `pratique`, also as `python -m pratique`."""

from pratique.cli.signals import stop
from pratique.errors import InterruptedRunError


def main() -> None:
    """Run the program as a process: a signal ends it with code 7 from here on, also while it is being loaded."""
    stop.install()
    try:
        from pratique.cli.main import main as program  # noqa: PLC0415 - signals are heard before this takes its time

        program()
    except KeyboardInterrupt:
        stop.leave(InterruptedRunError.exit_code)
        raise


if __name__ == "__main__":
    main()
