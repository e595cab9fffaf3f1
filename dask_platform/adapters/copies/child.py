"""Looking at a file that nobody knows yet, in a process of its own.

The libraries that read ZIM and WARC files take what a stranger wrote, one of them in C++. What
makes them crash, loop or swallow memory does so here, in a child with little of everything, and
takes nothing with it. What the child has read from the first byte to the last, a server may open.

Run as ``python -m dask_platform.adapters.copies.child PATH SECONDS [INDEX]``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Final

from dask_platform.adapters.copies.common import BROKEN, kind_of
from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import CopyFacts, CopyPage

#: What the child may use beside the file itself, in bytes.
MEMORY: Final = 512 * 1024 * 1024
#: The most that it may write: the index of a WARC file, and what it says.
_WRITES: Final = 1024 * 1024 * 1024
_MOST_SAID: Final = 1024 * 1024
_REFUSED: Final = 3


def examine(path: Path, *, seconds: float, index: Path) -> CopyFacts:
    """What the file at ``path`` holds. Of a WARC file, ``index`` is left there, whole or not at
    all. Raises ``CopyBroken``."""
    kind_of(path)
    made = index.with_name(f"{index.name}.{os.getpid()}")
    try:
        facts = _asked(path, seconds, made)
        if facts.kind == "warc":
            made.replace(index)
    finally:
        made.unlink(missing_ok=True)
    return facts


def _asked(path: Path, seconds: float, index: Path) -> CopyFacts:
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path), str(int(seconds) + 1), str(index)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            # Nothing of ours: the settings hold secrets.
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise CopyBroken(
                N_("The file takes longer to read through than it may. It is not taken.")
            ) from None
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        said.seek(0)
        text = said.read(_MOST_SAID).decode("utf-8", "replace")
    if status == _REFUSED:
        raise CopyBroken(str(json.loads(text)["refused"]))
    if status != 0:
        raise CopyBroken(
            N_("The file cannot be read through with the memory that it may use. It is not taken.")
        )
    return _facts(text)


def _facts(text: str) -> CopyFacts:
    said = json.loads(text)
    said["made_on"] = date.fromisoformat(said["made_on"]) if said["made_on"] else None
    said["first"] = tuple(CopyPage(**one) for one in said["first"])
    for name in ("hosts", "findings"):
        said[name] = tuple(said[name])
    return CopyFacts(**said)


def _limit(path: Path, seconds: int) -> None:
    memory = path.stat().st_size + MEMORY
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _WRITES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _look(path: Path, index: Path) -> CopyFacts:
    # Loaded under the limits, like all that they do.
    if kind_of(path) == "zim":
        from dask_platform.adapters.copies.zim import ZimCopy

        return ZimCopy(path).facts()
    from dask_platform.adapters.copies import warc_index

    return warc_index.make(path, index)


def main(path: Path, seconds: int, index: Path) -> int:
    _limit(path, seconds)
    try:
        facts = _look(path, index)
    except CopyBroken as broken:
        sys.stdout.write(json.dumps({"refused": broken.message}))
        return _REFUSED
    except RuntimeError:
        # What libzim says of bytes that it cannot make sense of.
        sys.stdout.write(json.dumps({"refused": BROKEN}))
        return _REFUSED
    sys.stdout.write(json.dumps(asdict(facts), default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
