"""Start a program so that it cannot outlive the host.

``python launch.py SIGNAL USER PROGRAM ARG…`` asks the kernel to send SIGNAL (a number) to this
process when the thread that started it ends, becomes USER (``-`` for no change), and turns into
PROGRAM. Done in a program of its own because ``preexec_fn`` is unsafe in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    ends_with, user, program, *arguments = sys.argv[1:]
    parent = os.getppid()
    if user != "-":
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    # After the change of user, which would clear it.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(ends_with)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit("the test run ended while this was starting")
    os.execv(program, [program, *arguments])  # noqa: S606 - the point of this file


if __name__ == "__main__":
    main()
