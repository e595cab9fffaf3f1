"""Sending a stored file to somebody who may have it.

Whatever a file is, it leaves as an attachment, with a type from a fixed table (never a page, never
a drawing that can hold script) and under a name of ours. Python decides; where nginx stands in
front it carries the bytes (``X-Accel-Redirect``), else they are streamed a chunk at a time.
"""

from __future__ import annotations

from flask import Response

from dask_platform.kernel.ports import FileStore

SANDBOX = "sandbox; default-src 'none'"
BYTES = "application/octet-stream"

# What a file may be called on its way out, by the extension that its content was found to have.
TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain; charset=utf-8",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def content_type(extension: str) -> str:
    """The type a file with this (found, not claimed) extension is sent as."""
    return TYPES.get(extension, BYTES)


def attachment(files: FileStore, key: str, *, size: int, name: str, extension: str) -> Response:
    """The file under ``key``, of ``size`` bytes, as a download called ``name``.

    ``name`` is one of ours (``security.names.download_name``): plain letters that need no quoting.
    Raises ``FileMissing`` and ``StorageUnavailable`` before anything is sent. A file that turns out
    damaged breaks off before its last chunk, so that no browser takes it for whole.
    """
    internal = files.internal_path(key)
    response = Response(mimetype=BYTES, direct_passthrough=True)
    if internal is not None:
        response.headers["X-Accel-Redirect"] = internal
    else:
        files.stat(key)
        response.response = files.open(key)
        response.content_length = size
    response.headers["Content-Type"] = content_type(extension)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Accept-Ranges"] = "none"
    return response
