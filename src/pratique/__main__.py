"""`python -m pratique` is the command `pratique`."""

from pratique.cli.main import main

if __name__ == "__main__":
    main()
