"""Handing a file on as it comes, without holding it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from dask_platform.features.broker.fetching import Kind, Shape
from dask_platform.features.whitelists.engine import Reason
from dask_platform.kernel.ports import UpstreamResponse

#: A saved file opens by its ending and not by its type: ``sums.html`` of type text/plain would be a
#: page with script on the PC's own disk.
_ENDINGS: Final = {"application/pdf": ".pdf", "text/plain": ".txt"}
_LONGEST_NAME: Final = 80


class Body:
    """The bytes of an answer as they come. Cut off in the middle, the browser sees that it is not
    whole.

    ``ended`` is told once, with the bytes that were sent on and why it ended: also where nobody
    read any of it, as after a HEAD or when the browser has gone.
    """

    def __init__(self, answer: UpstreamResponse, ended: Callable[[int, str], None]) -> None:
        self._answer = answer
        self._chunks = iter(answer.body)
        self._ended: Callable[[int, str], None] | None = ended
        self._size = 0

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self.close()
            raise
        except Exception as error:
            self.close(type(error).__name__)
            raise
        self._size += len(chunk)
        return chunk

    def close(self, reason: str = str(Reason.ALLOWED)) -> None:
        self._answer.close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self._size, reason)


def disposition(kind: Kind, path: str) -> str:
    """``Content-Disposition``: shown, or saved under a name whose ending fits the type."""
    if kind.shape() is Shape.INLINE:
        return "inline"
    name = "".join(one for one in path.rpartition("/")[2] if one.isprintable())[:_LONGEST_NAME]
    ending = _ENDINGS.get(kind.mime, ".bin")
    if not name.lower().endswith(ending):
        name = f"{name or 'fil'}{ending}"
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
