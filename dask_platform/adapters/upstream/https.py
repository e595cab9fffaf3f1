"""Fetching from approved sites: names, connections, answers, with every limit in one place.

Nothing is taken from the environment: no proxy, no certificate store, no search domain.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dask_platform.adapters.upstream.answer import HttpsAnswer
from dask_platform.adapters.upstream.line import Line, Places, Watch, connect, is_this_machine
from dask_platform.adapters.upstream.names import Names
from dask_platform.adapters.upstream.pool import OLDEST, Pool
from dask_platform.adapters.upstream.request import Outgoing, Voice, outgoing
from dask_platform.adapters.upstream.wire import Head, head_end, parse_head
from dask_platform.kernel.errors import (
    UpstreamAddressRefused,
    UpstreamAnswerRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import UpstreamRequest
from dask_platform.security.addresses import IPAddress, Outside

#: Answers that only announce the real one (100, 103); more of them are a way of never answering.
MOST_ANNOUNCEMENTS = 3
#: How many of a host's addresses are tried.
MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for each step, beside the caller's own limit for all of them. ``head`` is for the
    whole head of the answer, ``idle`` for each step of the body."""

    names: float = 4.0
    connect: float = 5.0
    head: float = 15.0
    idle: float = 10.0


class HttpsUpstream:
    """See :class:`dask_platform.kernel.ports.Upstream`.

    ``places`` says for which addresses a socket of this machine stands in; ``outside`` must open
    them too. ``oldest`` is how long, in seconds, a connection may be used after its name was
    resolved; 0 resolves and connects for each request.
    """

    def __init__(
        self,
        *,
        names: Names,
        outside: Outside,
        tls: ssl.SSLContext,
        voice: Voice,
        patience: Patience | None = None,
        places: Places | None = None,
        oldest: float = OLDEST,
    ) -> None:
        self._names = names
        self._outside = outside
        self._tls = tls
        self._voice = voice
        self._patience = patience or Patience()
        self._places: Mapping[IPAddress, tuple[str, int]] = places or {}
        self._pool = Pool(outside, oldest=oldest)

    def fetch(
        self,
        request: UpstreamRequest,
        *,
        largest: int,
        seconds: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> HttpsAnswer:
        asked = outgoing(request, self._voice)
        watch = Watch(seconds, stopped)
        watch.check()
        # A POST is never sent twice, so never on a connection that may just be closing.
        kept = None if asked.method == "POST" else self._pool.take(asked.host)
        if kept is not None:
            answer = self._exchange(kept, asked, request, largest, watch, again=True)
            if answer is not None:
                return answer
        fresh = self._connect(asked.host, watch)
        answer = self._exchange(fresh, asked, request, largest, watch, again=False)
        if answer is None:  # only a kept connection may turn out to be closed
            raise UpstreamUnavailable("closed without an answer")
        return answer

    def kept(self) -> int:
        """How many connections wait for another request."""
        return len(self._pool)

    def close(self) -> None:
        """Close what is kept open."""
        self._pool.close()

    def _exchange(
        self,
        line: Line,
        asked: Outgoing,
        request: UpstreamRequest,
        largest: int,
        watch: Watch,
        *,
        again: bool,
    ) -> HttpsAnswer | None:
        """Ask and read the head. None where ``again`` allows another try: the other side had closed
        the connection before it said a byte. ``line`` is closed by then, and on every error."""
        held = bytearray()
        try:
            line.send(asked.data, watch, self._patience.connect)
            head = self._head(line, held, watch)
            return HttpsAnswer(
                line,
                head,
                bytes(held),
                request=request,
                largest=largest,
                watch=watch,
                idle=self._patience.idle,
                keep=lambda: self._pool.put(asked.host, line),
            )
        except UpstreamTimeout:
            line.close()
            raise
        except UpstreamUnavailable:
            line.close()
            if again and not held:
                return None
            raise
        except BaseException:
            line.close()
            raise

    def _head(self, line: Line, held: bytearray, watch: Watch) -> Head:
        """The head of the real answer; ``held`` keeps what came behind it."""
        until = time.monotonic() + self._patience.head
        seen = 0
        announced = 0
        while True:
            end = head_end(held, seen)
            if end is None:
                seen = len(held)
                data = line.receive(watch, until, "answering")
                if not data:
                    raise UpstreamUnavailable("closed without an answer")
                held += data
                continue
            head = parse_head(bytes(held[:end]))
            del held[:end]
            seen = 0
            if head.status >= 200:
                return head
            announced += 1
            if head.status == 101 or announced > MOST_ANNOUNCEMENTS:
                raise UpstreamAnswerRefused(f"announcement {announced}: {head.status}")

    def _connect(self, host: str, watch: Watch) -> Line:
        """A connection to one of the host's addresses, all of which have been found good."""
        addresses = self._names.lookup(host, min(self._patience.names, watch.left()))
        for address in addresses:
            fault = self._outside.fault(address)
            if fault is None and address not in self._places and is_this_machine(address):
                fault = "this machine"
            if fault is not None:
                raise UpstreamAddressRefused(f"{host} is at {address}: {fault}")
        problem: UpstreamUnavailable | None = None
        for address in addresses[:MOST_TRIES]:
            try:
                return connect(
                    host,
                    address,
                    self._tls,
                    watch,
                    seconds=self._patience.connect,
                    places=self._places,
                )
            except UpstreamUnavailable as found:
                watch.check()
                problem = problem or found
        raise problem or UpstreamUnavailable(f"{host}: no address")
