"""Becomes a program that cannot outlive the process that started it.

The supervisor runs this file, by its path and alone, in front of every program:
it ties the process to its parent, gives up root where the program refuses root,
and then becomes the program, so that the process id stays the same. It imports
nothing of ours: it must start within milliseconds.

On Linux the kernel sends the chosen signal when the parent dies, even by
SIGKILL (prctl(2), PR_SET_PDEATHSIG). Elsewhere only the orderly end remains.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
# Either lets a process reach files below folders that are closed to its user;
# the first one, for reading only, is missing in many containers.
REACHING = {"CAP_DAC_READ_SEARCH": 2, "CAP_DAC_OVERRIDE": 1}
# A Python parent ignores some, a shell in the background others; a program expects none of that.
SIGNALS_RESTORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)


class CapabilityHeader(ctypes.Structure):
    """capget(2), cap_user_header_t."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilitySet(ctypes.Structure):
    """capget(2), cap_user_data_t; two of them make 64 bits."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def checked(result: int) -> None:
    """Raises OSError when a system call did not return 0."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prctl(libc: ctypes.CDLL, *arguments: int) -> None:
    """Calls prctl(2).

    Raises:
        OSError: the kernel refused.
    """
    padded = (*arguments, 0, 0, 0, 0)[:5]
    checked(libc.prctl(*(ctypes.c_ulong(argument) for argument in padded)))


@contextmanager
def reaching_files(libc: ctypes.CDLL) -> Iterator[None]:
    """Keeps one capability, to reach files, across the change of user in the block and across exec; drops all others.

    The alternative would be to open every folder above the program and its data
    to everybody.

    Raises:
        OSError: the kernel refused; the process may still have every capability.
    """
    header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (CapabilitySet * 2)()
    checked(libc.capget(ctypes.byref(header), ctypes.byref(sets)))
    held = [bit for bit in REACHING.values() if sets[0].permitted & (1 << bit)][:1]
    prctl(libc, PR_SET_KEEPCAPS, 1)
    with suppress(OSError):
        # Without it access(2), by which initdb looks for its programs, disregards capabilities.
        # A container may lack the right to it; then all folders must be open.
        prctl(libc, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    yield
    mask = sum(1 << bit for bit in held)
    sets = (CapabilitySet * 2)(CapabilitySet(mask, mask, mask), CapabilitySet(0, 0, 0))
    checked(libc.capset(ctypes.byref(header), ctypes.byref(sets)))
    for bit in held:
        prctl(libc, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit)


def become_user(libc: ctypes.CDLL, name: str) -> None:
    """Gives up root for good, all groups included."""
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    if sys.platform == "linux":
        with reaching_files(libc):
            os.setuid(entry.pw_uid)
    else:
        os.setuid(entry.pw_uid)


def main() -> None:
    """Leashes this process and becomes the program named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="process id of who starts it")
    parser.add_argument("--orphan-signal", type=int, required=True, help="what the program gets when its parent dies")
    parser.add_argument("--user", help="user to become; needs root")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    libc = ctypes.CDLL(None, use_errno=True)
    if options.user:
        become_user(libc, options.user)
    if sys.platform == "linux":
        # After the change of user: that clears it.
        prctl(libc, PR_SET_PDEATHSIG, options.orphan_signal)
    if os.getppid() != options.parent:
        sys.exit("the process that started this one is gone")
    for number in SIGNALS_RESTORED:
        signal.signal(number, signal.SIG_DFL)
    os.execvp(options.command[0], options.command)  # noqa: S606 - a command line of ours, no shell


if __name__ == "__main__":
    main()
