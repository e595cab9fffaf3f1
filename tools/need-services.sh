#!/usr/bin/env bash
# The programs that tests and benchmarks talk to: installed through apt where that is allowed,
# otherwise named.
set -eu
declare -A package=([slapd]=slapd [slapadd]=slapd [clamd]=clamav-daemon [nginx]=nginx
  [chromium]=chromium [squid]=squid-openssl [pg_isready]='')
wanted=("${@:-}")
[ -n "${wanted[*]}" ] || wanted=(slapd slapadd clamd nginx chromium squid)
missing=()
PATH=$PATH:/usr/sbin:/sbin
for program in "${wanted[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
  as=$([ "$(id -u)" = 0 ] || echo sudo)
  echo "installing ${missing[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  # Only the programs are wanted: no service may start by itself and take a port.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as tee $policy >/dev/null
    $as chmod +x $policy
    trap '$as rm -f $policy' EXIT
  fi
  { $as apt-get -qq update && $as env DEBIAN_FRONTEND=noninteractive \
      apt-get -qq install --no-install-recommends -y "${missing[@]}"; } >/tmp/need-services.$$.log 2>&1 \
    && { rm -f /tmp/need-services.$$.log; exit 0; }
  tail -n 5 /tmp/need-services.$$.log >&2
fi
echo "The tests need these Debian packages: ${missing[*]}. Install them and run again." >&2
exit 1
