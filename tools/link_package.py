"""Make ``dask_platform`` importable in the virtual environment, and its command runnable.

An editable install would need a build tool that is no part of the locked libraries; a path file and
a script of four lines do the same and need nothing.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    site = Path(sysconfig.get_paths()["purelib"])
    (site / "dask_platform_here.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    script = Path(sys.executable).parent / "dask-platform"
    script.write_text(
        f"#!{sys.executable}\nfrom dask_platform.entry.cli import main\n\nmain()\n",
        encoding="utf-8",
    )
    script.chmod(0o755)


if __name__ == "__main__":
    main()
