"""Say what is missing on a machine before anything is installed: an old Python, or one without `venv`."""

import importlib.util
import sys


def main() -> None:
    """End with one line of what to do if this Python cannot make an environment."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs before the package is installed, on any Python)
        sys.exit("Pratique needs Python 3.11 or newer; do: make PYTHON=python3.11")
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        sys.exit("This Python cannot make a virtual environment; do: apt-get install python3-venv")


if __name__ == "__main__":
    main()
