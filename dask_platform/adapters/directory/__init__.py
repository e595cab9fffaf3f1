"""The county's directory of people: Active Directory or OpenLDAP.

Start in ``ldap.py``: :class:`LdapDirectory` is the adapter behind ``kernel.ports.Directory``.

- ``settings.py`` — what the operator states, and what is refused at start
- ``mapping.py`` — the file that turns groups into roles at units
- ``servers.py`` — which server is asked first, and when a dead one is tried again
- ``session.py`` — one conversation with one server; the only file that touches ldap3
- ``groups.py`` — who is a member of what: by ``memberOf``, by search, nested or not
- ``state.py`` — disabled, locked, expired: what AD and OpenLDAP say, in plain words
- ``names.py`` — distinguished names compared as a server compares them; escaping
- ``memory.py`` — the honest fake, for tests of everything that lies above
"""

from dask_platform.adapters.directory.ldap import LdapDirectory
from dask_platform.adapters.directory.mapping import GroupMapping, load_mapping
from dask_platform.adapters.directory.memory import MemoryDirectory, MemoryPerson
from dask_platform.adapters.directory.settings import ACTIVE_DIRECTORY, LdapSettings

__all__ = [
    "ACTIVE_DIRECTORY",
    "GroupMapping",
    "LdapDirectory",
    "LdapSettings",
    "MemoryDirectory",
    "MemoryPerson",
    "load_mapping",
]
