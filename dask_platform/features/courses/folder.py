"""A course's folder on disk, read with distrust.

A course may come from anybody's memory stick. Nothing is followed out of the folder: no symlink, no
``..``; and no file is read that is larger than a course may hold.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from dask_platform.kernel.yaml_reader import Problem

FILE_BYTES_MOST: Final = 6 * 1024 * 1024
FILES_MOST: Final = 2000
_PLACES: Final = ("pages", "assignments", "media")
_BESIDE: Final = frozenset({"README.md", "LICENCE", "LICENSE"})


class Folder:
    """Every plain file below ``path``, by its name inside it. What is odd is in ``problems``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.problems: list[Problem] = []
        self._files: set[str] = set()
        self._used: set[str] = set()
        if path.is_symlink():
            self._refuse("", "This is a symbolic link. Put the folder itself here.")
            return
        self._walk(path, "")

    def shown(self, file: str) -> str:
        """The file as problems name it: with the course's folder in front."""
        return f"{self.name}/{file}" if file else self.name

    def has(self, file: str) -> bool:
        return file in self._files

    def use(self, file: str) -> None:
        self._used.add(file)

    def files_in(self, place: str) -> list[str]:
        return sorted(file for file in self._files if file.startswith(f"{place}/"))

    def read(self, file: str) -> bytes | None:
        """The bytes; None where there is no such file or it cannot be read (a problem then)."""
        if file not in self._files:
            return None
        if not file.startswith("media/"):
            self.use(file)
        try:
            # O_NOFOLLOW: what was a file when the folder was walked may be a link by now.
            handle = os.open(self.path / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                data = stream.read(FILE_BYTES_MOST + 1)
        except OSError as error:
            self._refuse(file, f"The file cannot be read: {error.strerror}.")
            return None
        if len(data) > FILE_BYTES_MOST:
            self._refuse(file, f"The file is larger than {FILE_BYTES_MOST // 1024 // 1024} MB.")
            return None
        return data

    def warn_of_unused(self) -> None:
        """A file that no page uses is not wrong, but is hardly what somebody meant."""
        for file in sorted(self._files - self._used - _BESIDE):
            self.problems.append(
                Problem(self.shown(file), 1, "No page uses this file.", warning=True)
            )

    def _walk(self, path: Path, inside: str) -> None:
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(inside, f"The folder cannot be read: {error.strerror}.")
            return
        for entry in entries:
            file = f"{inside}/{entry.name}" if inside else entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            if entry.name.startswith(".") and not stat.S_ISLNK(mode):
                continue
            if stat.S_ISLNK(mode):
                self._refuse(file, "This is a symbolic link. Put the file itself here.")
            elif stat.S_ISDIR(mode) and not inside and entry.name in _PLACES:
                self._walk(path / entry.name, file)
            elif stat.S_ISDIR(mode):
                self._refuse(file, f"Only the folders {', '.join(_PLACES)} are used in a course.")
            elif not stat.S_ISREG(mode):
                self._refuse(file, "This is not a plain file.")
            elif len(self._files) >= FILES_MOST:
                self._refuse(file, f"The course has more than {FILES_MOST} files.")
                return
            else:
                self._files.add(file)

    def _refuse(self, file: str, message: str) -> None:
        # A name from disk may hold anything; a problem is one printable line.
        shown = self.shown(file)
        printable = shown if shown.isprintable() else ascii(shown)[1:-1]
        self.problems.append(Problem(printable, 1, message))
