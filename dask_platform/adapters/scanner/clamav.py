"""ClamAV's daemon, by its INSTREAM command.

The protocol is spoken here instead of through the ``clamd`` package (1.0.2): that one has no time
limit on connecting, reads whole file objects in pieces of 1 KiB, and sends with ``send`` where only
part of a piece may go out, which would garble the stream on a slow line.

What an answer means:

==========================================  ==================================================
clamd says                                  we say
==========================================  ==================================================
``stream: OK``                              clean
``stream: NAME FOUND``                      found NAME
``…Limits.Exceeded… FOUND``                 ``ScanRefused``: too large, nested too deep, too slow
``…Encrypted… FOUND``                       ``ScanRefused``: nobody can look inside
``INSTREAM size limit exceeded. ERROR``     ``ScanRefused``
any other ``ERROR``, silence, a hang-up     ``ScannerUnavailable``: the scanner's own trouble
==========================================  ==================================================

Limits and encryption are refusals and not finds because nothing harmful was found: telling a
student "your file is infected", and security with them, would be false. Nor is such a file ever
clean.

It depends on clamd's configuration. ``AlertExceedsMax yes`` and ``AlertEncrypted yes`` must be set,
or clamd calls what it did not look at OK. ``MaxFileSize`` must be larger than ``MaxScanSize``: a
member of an archive that is larger than ``MaxFileSize`` is cut short in silence (1.4.6), while
passing ``MaxScanSize`` is reported. What clamd passes over in any configuration is in
``blindspots``.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dask_platform.adapters.scanner.blindspots import ZipWatch
from dask_platform.kernel.errors import ScannerUnavailable, ScanRefused
from dask_platform.kernel.ports import ScanResult

#: Parts of signature names by which clamd says that it did not judge.
_NOT_JUDGED = ("Heuristics.Limits.Exceeded", "Heuristics.Encrypted")
_FOUND = re.compile(r"stream: (.+) FOUND")
_LONGEST_ANSWER = 4096


class ClamdScanner:
    """See :class:`dask_platform.kernel.ports.Scanner`.

    ``address`` is ``host:port``, ``[ipv6]:port`` or the path of a unix socket. In seconds:
    ``timeout`` for connecting and for every step without progress, ``patience`` for the verdict
    after the last byte (a little more than clamd's own ``MaxScanTime``).

    ``largest`` is clamd's ``StreamMaxLength`` in bytes: a longer file is refused here as soon as it
    passes that, whatever becomes of clamd's own word on it.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 10.0,
        patience: float = 130.0,
        largest: int | None = None,
    ) -> None:
        self._address = _parse(address)
        self._timeout = timeout
        self._patience = patience
        self._largest = largest

    def scan(self, chunks: Iterator[bytes]) -> ScanResult:
        """Errors of ``chunks`` itself come out as they are."""
        sent = 0
        watch = ZipWatch()
        with self._connected() as line:
            with _wire():
                line.sendall(b"zINSTREAM\0")
            for chunk in chunks:
                if not chunk:
                    continue  # an empty chunk would mean the end to clamd
                sent += len(chunk)
                if self._largest is not None and sent > self._largest:
                    raise _too_large()
                watch.see(chunk)
                try:
                    line.sendall(struct.pack("!L", len(chunk)) + chunk)
                except (BrokenPipeError, ConnectionResetError):
                    # It has hung up in the middle: then it has said why, mostly.
                    return self._verdict(line)
                except OSError as problem:
                    raise _silent() from problem
            with _wire():
                line.sendall(struct.pack("!L", 0))
            return self._verdict(line)

    def version(self) -> str:
        """Engine, signatures and their age: ``ClamAV 1.4.6/27800/Sun Nov 22 09:00:00 2026``."""
        with self._connected() as line:
            with _wire():
                line.sendall(b"zVERSION\0")
            return self._answer(line, self._timeout)

    def _verdict(self, line: socket.socket) -> ScanResult:
        answer = self._answer(line, self._patience)
        if answer == "stream: OK":
            return ScanResult(None)
        if found := _FOUND.fullmatch(answer):
            if any(part in found[1] for part in _NOT_JUDGED):
                raise ScanRefused(
                    "The virus scanner cannot check this file: it is locked with a password, "
                    "too large, or packed too deep. Send it unpacked and without a password."
                )
            return ScanResult(found[1])
        if answer.endswith("size limit exceeded. ERROR"):
            raise _too_large()
        raise _silent()

    def _answer(self, line: socket.socket, patience: float) -> str:
        """What clamd says, up to its closing NUL, within ``patience`` seconds in all."""
        deadline = time.monotonic() + patience
        said = b""
        with _wire():
            while b"\0" not in said:
                line.settimeout(max(deadline - time.monotonic(), 0.001))
                data = line.recv(_LONGEST_ANSWER)
                if not data or len(said) > _LONGEST_ANSWER:
                    raise _silent()
                said += data
        return said.partition(b"\0")[0].decode(errors="replace").strip()

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with _wire():
            if isinstance(self._address, str):
                line = socket.socket(socket.AF_UNIX)
                try:
                    line.settimeout(self._timeout)
                    line.connect(self._address)
                except OSError:
                    line.close()
                    raise
            else:
                line = socket.create_connection(self._address, timeout=self._timeout)
        with closing(line):
            yield line


def _parse(address: str) -> str | tuple[str, int]:
    """A path, or host and port. ``ValueError`` for anything else."""
    if address.startswith("/"):
        return address
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"not host:port nor the path of a socket: {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


@contextmanager
def _wire() -> Iterator[None]:
    """Trouble on the line is ``ScannerUnavailable``."""
    try:
        yield
    except OSError as problem:
        raise _silent() from problem


def _silent() -> ScannerUnavailable:
    return ScannerUnavailable("The virus scanner does not answer. The file is checked later.")


def _too_large() -> ScanRefused:
    return ScanRefused("The file is too large for the virus scanner. Send it in smaller parts.")
