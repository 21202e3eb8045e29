"""One load where the kernel refuses links with this error, as some file systems do: linkless.py ERROR PATH."""

import ctypes
import errno
import platform
import struct
import sys

from pratique.destinations import open_destination
from pratique.errors import PratiqueError
from pratique.model import Target
from pratique.testing.destination_suite import load

LINK_CALLS = {"x86_64": (86, 265), "aarch64": (37,)}
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
LOAD_NUMBER, IS_EQUAL, RETURN = 0x20, 0x15, 0x06


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def refuse_links(number):
    """From now on link and linkat fail with this error in this process."""
    steps = [(LOAD_NUMBER, 0, 0, 0)]
    for call in LINK_CALLS[platform.machine()]:
        steps += [(IS_EQUAL, 0, 1, call), (RETURN, 0, 0, REFUSE | number)]
    steps += [(RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, filtered = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    program = Program(len(steps), ctypes.addressof(code))
    assert libc.prctl(seccomp, filtered, ctypes.byref(program)) == 0, errno.errorcode[ctypes.get_errno()]


if __name__ == "__main__":
    refuse_links(getattr(errno, sys.argv[1]))
    try:
        load(open_destination("duckdb", sys.argv[2]), "a1", [(1, "ann", "1.10")], Target("sales"))
    except PratiqueError as error:
        sys.exit(f"{error.code}: {error}")
