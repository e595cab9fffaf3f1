#!/usr/bin/env bash
# Every test, in parallel. A few that failed beside the others are run once more, alone: what starts and
# kills real servers on two busy cores can be late without being wrong. They are named, and a test that
# fails alone as well fails the run; so do more than five at once, which is no coincidence.
set -u
cd "$(dirname "$0")/.."
most=5
# Of this run alone: the usual cache still knows what failed last week.
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT

run() { .venv/bin/python -m pytest -o cache_dir="$kept" "$@"; }

run -n auto --dist loadfile "$@"
status=$?
[ "$status" -eq 1 ] || exit "$status"

failed=$(.venv/bin/python - "$kept" <<'PYTHON'
import json
import pathlib
import sys

failed = pathlib.Path(sys.argv[1], "v", "cache", "lastfailed")
print("\n".join(sorted(json.loads(failed.read_text())) if failed.exists() else []))
PYTHON
)
count=$(grep -c . <<<"$failed")
if [ "$count" -eq 0 ] || [ "$count" -gt "$most" ]; then
  exit 1
fi
printf 'failed beside the others, and now alone:\n%s\n' "$failed" >&2
run --last-failed --last-failed-no-failures none "$@"
