"""A signal ends a run wherever it falls, also where Python throws away what is raised."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, time, weakref
from pratique.cli.signals import stop
from pratique.interruption import interruptible

class Thing:
    pass

class Deaf:
    def __init__(self, times):
        self.times = times

    def __del__(self):
        if self.times > 1:
            Deaf(self.times - 1)
        ask()

def ask():
    os.kill(os.getpid(), signal.SIGTERM) if not stop.asked else time.sleep(0.1)
    for _ in range(1000):
        pass  # the handler runs here

def callback(_):
    ask()

def fall():
    {fall}

stop.install()
told = []
try:
    with interruptible(lambda: told.append(1)):
        fall()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pass
    print("ran on")
except KeyboardInterrupt:
    print("stopped", len(told) > 1)
stop.leave(7)
"""

FALLS = {
    "a weak reference": "thing = Thing(); reference = weakref.ref(thing, callback); del thing",
    "a finalizer": "Deaf(1)",
    "one finalizer inside another": "Deaf(3)",
}


@pytest.mark.parametrize("fall", FALLS.values(), ids=FALLS)
def test_a_signal_is_not_lost_where_python_throws_away_what_is_raised(fall: str) -> None:
    """SIGTERM inside a finalizer or the callback of a weak reference: asked again in the open, and no word about it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{fall}", fall)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "stopped True\n"), done.stderr
    assert done.stderr.strip() == "stopping (SIGTERM); once more to stop at once"


def test_what_else_python_throws_away_is_still_told() -> None:
    """An error of another kind in a finalizer is told as ever: only the signal that was asked for is taken back."""
    program = PROGRAM.replace("ask()\n\ndef ask", "raise ValueError('mine')\n\ndef ask").replace(
        "{fall}", "Deaf(1); os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7
    assert "ValueError: mine" in done.stderr


TRACED = """
import os, signal, sys
from pratique.__main__ import main

def look(frame, event, _):
    if frame.f_code.co_qualname == {place!r} and frame.f_globals["__name__"] == {module!r}:
        sys.settrace(None)
        os.kill(os.getpid(), signal.SIGTERM)
    return None

sys.argv = ["pratique", "version"]
sys.settrace(look)
main()
"""


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ("click.core", "Context.__init__"),
        ("click.core", "Command.parse_args"),
        ("pratique.cli.main", "Program.parse_args"),
        ("click.core", "Context.__enter__"),
        ("click.core", "Context.__exit__"),
    ],
)
def test_a_signal_while_the_command_line_is_read_ends_with_its_code(module: str, place: str) -> None:
    """SIGTERM before the command itself begins, or after it: code 7 that says "run again", never a plain "Aborted!"."""
    done = subprocess.run(
        [sys.executable, "-c", TRACED.format(module=module, place=place)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "stopping (SIGTERM)" in done.stderr, done.stderr
    assert "run the same command again" in done.stderr
    assert "Aborted" not in done.stderr
    assert done.returncode == 7


def test_a_signal_right_after_it_listens_is_no_traceback() -> None:
    """SIGTERM as soon as the program listens, before it does anything else: code 7, as from then on."""
    program = """
import os, signal, sys
from pratique.__main__ import main

def end(frame, event, _):
    if event == "return":
        sys.settrace(None)
        os.kill(os.getpid(), signal.SIGTERM)
    return end

sys.argv = ["pratique", "version"]
sys.settrace(lambda frame, *_: end if frame.f_code.co_qualname == "Stop.install" else None)
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (7, "stopping (SIGTERM); once more to stop at once")
