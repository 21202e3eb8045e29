"""`pratique` as a process of its own that is forked from one in which everything is loaded: a fifth of the cost of a start.

For tests of what a command does and prints. Tests of the start, of signals, of terminals and of encodings start Python.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

_MEASURED = "COVERAGE_PROCESS_CONFIG"  # how coverage tells a process that it is measured
_AT_START = ("PYTHON", "LANG", "LC_")  # names of variables that Python reads when it starts
_LIBRARIES = ("coverage", "duckdb", "numpy", "pyarrow.compute", "pyarrow.parquet", "rich.console", "rich.table", "sqlglot")  # fmt: skip
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_SECONDS = 120
_CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
    channel.connect({address!r})
    what = [sys.argv[1:], os.getcwd(), dict(os.environ), 0o022]
    socket.send_fds(channel, [json.dumps(what).encode()], [0, 1, 2])
    code = int(channel.recv(100))
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)
"""


def pratique(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    """`pratique WORDS` with both streams and the exit code, as `subprocess.run` gives them; `env` is added to the own."""
    environment = {**os.environ, **(env or {})}
    address, at_start = _process()
    assert _read_at_start(environment) == at_start, "Python reads these variables when it starts: start it"
    arguments = [str(word) for word in words]
    text = functools.partial(tempfile.TemporaryFile, "w+", encoding="utf-8")
    with Path(os.devnull).open() as none, text() as out, text() as err:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
            channel.settimeout(_SECONDS)
            channel.connect(address)
            what = [arguments, str(cwd or Path.cwd()), environment, umask]
            socket.send_fds(channel, [json.dumps(what).encode()], [stream.fileno() for stream in (none, out, err)])
            code = int(channel.recv(100))
        for stream in (out, err):
            stream.seek(0)
        texts = [stream.read() for stream in (out, err)]
    return subprocess.CompletedProcess(["pratique", *arguments], code, *texts)


@functools.cache
def program() -> str:
    """A program that does in such a process what it is given; its folder is for PATH."""
    address, _ = _process()
    path = Path(address).with_name("pratique")
    path.write_text(_CLIENT.format(python=sys.executable, address=address))
    path.chmod(0o755)
    return str(path)


def path() -> str:
    """PATH, with that program first."""
    return f"{Path(program()).parent}:{os.environ['PATH']}"


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


@functools.cache
def _process() -> tuple[str, dict[str, str]]:
    """Where the process listens that has loaded everything, and what it was started with; it ends with this one."""
    folder = Path(tempfile.mkdtemp(prefix="pratique-forked-"))
    atexit.register(shutil.rmtree, folder)
    address = str(folder / "socket")
    environment = {**os.environ, **_ONE_THREAD}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(listener.fileno()), environment.pop(_MEASURED, "")],
            env=environment,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(process.communicate)
    return address, _read_at_start(environment)


# --- the other side -----------------------------------------------------------------------------------------------


def _serve(listener: socket.socket, measured: str) -> None:
    _load(measured)
    answering: list[int] = []
    while listener in select.select([listener, 0], [], [])[0]:
        answering = [child for child in answering if os.waitpid(child, os.WNOHANG) == (0, 0)]
        channel, _ = listener.accept()
        with channel:
            if child := os.fork():
                answering.append(child)
            else:
                listener.close()
                _answer(channel)


def _load(measured: str) -> None:
    save = _measuring(measured)
    import pratique as package  # noqa: PLC0415 - only here

    for module in pkgutil.walk_packages(package.__path__, "pratique."):
        importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    save()
    _measuring(measured)()  # what the first time costs is paid here, not in each process
    gc.collect()
    gc.freeze()


def _answer(channel: socket.socket) -> None:
    """Let a further process do what is asked, and give its exit code."""
    asked, streams, _, _ = socket.recv_fds(channel, 1 << 20, 3)
    if asked and (child := os.fork()):
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.send(str(code).encode())
    elif asked:
        channel.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        words, place, environment, umask = json.loads(asked)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(place)
        os.umask(umask)
        time.tzset()
        sys.argv = ["pratique", *words]
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        os._exit(_run())
    os._exit(0)


def _run() -> int:
    """Do in this process what Python does with the command; its exit code."""
    from pratique.__main__ import main  # noqa: PLC0415 - loaded already

    save = _measuring(os.environ.get(_MEASURED, ""))
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as Python does it
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)  # noqa: T201 - as Python does it
        code = 1
    threading._shutdown()
    save()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        return 120
    return int(code or 0)


def _measuring(settings: str) -> Callable[[], object]:
    """Measure this process if coverage asks for it; gives what ends that."""
    from coverage import Coverage  # noqa: PLC0415 - only here

    if not settings:
        return lambda: None
    measuring = Coverage(config_file=f":data:{settings}")
    measuring.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured", "module-not-imported"])
    measuring.start()

    def save() -> None:
        measuring.stop()
        measuring.save()

    return save


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as served:
        _serve(served, sys.argv[2])
    os._exit(0)  # an orderly end would look for what was set aside before the first fork, and complain
