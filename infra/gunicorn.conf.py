"""gunicorn, as ``dask-platform serve`` runs it. Everything comes from ``DASK_*``.

Threads rather than many processes: a request waits for the database most of its time, and each
process costs memory. nginx stands in front and takes slow clients, large bodies and large files.
"""

import contextlib
import gc
import os
import subprocess
import sys

from dask_platform.db.embedded import children_die_with_me
from dask_platform.kernel.settings import load_settings

_settings = load_settings()

bind = _settings.bind
workers = _settings.workers
threads = _settings.threads
worker_class = "gthread"
preload_app = True  # one copy of the code in memory; connections are opened after the fork
timeout = 120
graceful_timeout = 20
keepalive = 5
max_requests = 20000
max_requests_jitter = 2000
limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190
forwarded_allow_ips = "127.0.0.1,::1" if _settings.proxy_hops else ""
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - unlinked at once
accesslog = None  # the platform writes its own, as JSON and without personal data
errorlog = "-"
loglevel = "warning"
proc_name = "dask-platform"
# A second way in that nobody here uses, at one path for every gunicorn of a user.
control_socket_disable = True

_health = None


def when_ready(server):
    """Health and metrics run beside the workers and end with the master."""
    global _health
    # What is loaded by now lives as long as the server: no collection need look at it again, and
    # its memory stays shared among the workers.
    gc.collect()
    gc.freeze()
    _health = subprocess.Popen(
        [sys.executable, "-m", "dask_platform.entry.cli", "health"],
        preexec_fn=children_die_with_me(),
    )


def on_exit(server):
    if _health is not None:
        with contextlib.suppress(ProcessLookupError):
            _health.terminate()
        try:
            _health.wait(10)
        except subprocess.TimeoutExpired:
            _health.kill()
            _health.wait()


def worker_exit(server, worker):
    """In the worker, when it ends: sites and the database are told so."""
    from dask_platform.entry import wsgi

    wsgi.close()


def child_exit(server, worker):
    """Metrics of a worker that ended stay in the sum, its gauges do not."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
