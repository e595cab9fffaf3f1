"""squid, as ACLs to include.

A forward proxy that does not look into TLS sees a host and a port. Every rule says more than that:
which paths, that an unknown parameter refuses the address, how long a path may be. So without
inspection each rule is refused by its name, and the file lets nothing out.

With inspection squid sees the whole address. Its own ``url_regex`` is not used: squid decodes the
address before it compares, and ``/open%2Fsecret`` would look like ``/open/secret``. The address as
it was sent goes to squid's external ACL instead, which here is ``sed`` with a script of
expressions: it answers with the numbers of the openings that the address lies in. Methods, hours,
types and sizes are squid's own ACLs over those numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.exports.openings import (
    PLAIN,
    CannotSay,
    Closing,
    Opening,
)
from dask_platform.features.whitelists.exports.selection import (
    Chosen,
    Export,
    choose,
    heading,
)
from dask_platform.features.whitelists.rules import Hours, Rule
from dask_platform.security.weburl import MOST_CHARACTERS

CONF: Final = "dask-whitelist.conf"
SCRIPT: Final = "dask-whitelist.sed"
#: The name of the ``http_port`` that looks into TLS; on any other port nothing is let through.
PORT_NAME: Final = "dask-inspected"
_DAYS: Final = {
    "mon": "M",
    "tue": "T",
    "wed": "W",
    "thu": "H",
    "fri": "F",
    "sat": "A",
    "sun": "S",
}

_NOT_INSPECTING: Final = (
    "squid sees only its host and port: it could not keep any path or parameter closed"
)

_USE: Final = f"""\
# In squid.conf, before any other http_access (and TZ=Europe/Oslo in squid's environment, by which
# the hours are read):
#   http_port 3128 name={PORT_NAME} ssl-bump tls-cert=… generate-host-certificates=on
#   ssl_bump bump all
#   include /etc/squid/dask/{CONF}
"""


def export(
    rules: Iterable[Rule], asked: Asked, folder: str, tls_inspection: bool = False
) -> Export:
    """``folder``: where the files will lie on squid's machine."""
    if re.search(r"[\s\"'#]", folder):
        raise ValueError("squid's folder has a space, a quote or a # in its name")
    chosen = choose(rules, asked, _inspected if tls_inspection else _blind)
    text = heading(chosen, asked)
    if not chosen.openings:
        return chosen.export({CONF: f"{text}\nhttp_access deny all\n"})
    return chosen.export(
        {CONF: text + _USE + _configuration(chosen, folder), SCRIPT: text + _script(chosen)}
    )


def _blind(_rule: Rule, _opening: Opening) -> None:
    raise CannotSay(_NOT_INSPECTING)


def _inspected(_rule: Rule, _opening: Opening) -> None:
    """Squid can say all of an opening."""


def _configuration(chosen: Chosen, folder: str) -> str:
    numbered = list(enumerate(chosen.openings, 1))
    hosts = sorted({f".{one.host}" if one.subdomains else one.host for one in chosen.openings})
    hosts = [one for one in hosts if not _covered(one, hosts)]
    lines = [
        "",
        f"acl dask_inspected myportname {PORT_NAME}",
        "acl dask_connect method CONNECT",
        "acl dask_port port 443",
        "acl dask_https proto HTTPS",
        *(f"acl dask_hosts dstdomain -n {host}" for host in hosts),
        "external_acl_type dask_address ttl=3600 negative_ttl=3600 children-max=4"
        f" children-startup=1 %URI /bin/sed -u -n -E -f {folder}/{SCRIPT}",
        "acl dask_asked external dask_address",
        "",
    ]
    access, replies, sizes = [], [], []
    for number, one in numbered:
        lines.append(f"# {one.rule}: {one.host}")
        lines.append(f"acl dask_open_{number} note -m=, open {number}")
        lines.append(f"acl dask_methods_{number} method {' '.join(one.methods)}")
        for hours in one.hours:
            lines.append(f"acl dask_hours_{number} time {_time(hours)}")
        when = f" dask_hours_{number}" if one.hours else ""
        access.append(
            "http_access allow dask_inspected dask_https dask_port dask_hosts dask_asked"
            f" dask_open_{number} dask_methods_{number}{when}"
        )
        kinds = ""
        if one.types:
            for kind in one.types:
                lines.append(
                    f"acl dask_types_{number} rep_mime_type -i ^{re.escape(kind)}[[:space:]]*(;|$)"
                )
            kinds = f" dask_types_{number}"
        replies.append(f"http_reply_access allow dask_open_{number}{kinds}")
        # The smallest first: of several that fit, the first holds.
        sizes.append((one.largest, f"reply_body_max_size {one.largest} bytes dask_open_{number}"))
    return "\n".join(
        [
            *lines,
            "",
            "http_access deny !dask_inspected",
            # Only to look inside; what comes out of it is asked anew.
            "http_access allow dask_inspected dask_connect dask_port dask_hosts",
            *access,
            "http_access deny all",
            "",
            *replies,
            "http_reply_access deny all",
            *(line for _bytes, line in sorted(sizes)),
            "",
        ]
    )


def _covered(host: str, hosts: list[str]) -> bool:
    """Whether another entry holds ``host`` already: squid refuses to be told twice."""
    return any(
        other.startswith(".") and other != host and f".{host.lstrip('.')}".endswith(other)
        for other in hosts
    )


def _time(hours: Hours) -> str:
    """squid's hours hold to the end of their last minute; ours end where theirs begins."""
    hour, minute = map(int, hours.closes.split(":"))
    last = hour * 60 + minute - 1
    days = "".join(_DAYS[day] for day in hours.days)
    return f"{days} {hours.opens}-{last // 60:02}:{last % 60:02}"


def _script(chosen: Chosen) -> str:
    """One address a line in, ``OK open=1,3`` or ``ERR`` a line out.

    The hold space has the path with each escape as one letter, for its length, and in a second line
    the numbers so far.
    """
    lines = [
        "s/ -$//",
        f"/^.{{{MOST_CHARACTERS + 1}}}/b no",
        f"/{_slashed(f'^https://[a-z0-9.-]+{PLAIN}')}/!b no",
        "h",
        r"s/^https:\/\/[^\/]+//;s/\?.*//;s/%[2-7]./x/g;s/%[Cc].%../x/g;s/$/\n/;x",
    ]
    for closing in chosen.closings:
        lines.append(f"# {closing.rule}")
        lines += [f"/{_url(closing, one)}/b no" for one in closing.never]
    for number, one in enumerate(chosen.openings, 1):
        lines += [
            f"# {one.rule}",
            f"/{_url(one, f'{one.shape}$')}/!b past{number}",
            *(f"/{_url(one, never)}/b past{number}" for never in one.never),
            f"x;/^[^\\n]{{{one.longest + 1}}}/!s/$/,{number}/;x",
            f": past{number}",
        ]
    lines += ["x", "/\\n,/{", "s/^.*\\n,(.*)$/OK open=\\1/p", "b", "}", ": no", "s/.*/ERR/p", ""]
    return "\n".join(lines)


def _url(place: Opening | Closing, rest: str) -> str:
    host = place.host.replace(".", r"\.")
    if place.subdomains:
        host = rf"([a-z0-9-]+\.)*{host}"
    return _slashed(f"^https://{host}({rest})")


def _slashed(expression: str) -> str:
    return expression.replace("/", r"\/")
