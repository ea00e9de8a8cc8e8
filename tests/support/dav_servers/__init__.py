"""WebDAV servers on loopback, each with a login, a folder to look into, and its own habits.

========== ==================================================================================================
nextcloud  our simulator: ids, tags, hashes, atomic uploads, preconditions; ETags that stay within a second
wsgidav    uploads are seen while they grow, and a cut one leaves half a file or has destroyed the old one
lighttpd   strict: everything as the standards want it
apache     weak ETags for about a second, 500 for a move into a folder that is not there
nginx      ignores every precondition: overwrites, deletes, and moves into nowhere
========== ==================================================================================================

``real`` is a real Nextcloud, where the environment names one (`tests.support.dav_servers.real`).
"""

from tests.support.dav_servers.running import PASSWORD, USER, RunningDav
from tests.support.dav_servers.start import ATOMIC_KINDS, KINDS, running_dav

__all__ = ["ATOMIC_KINDS", "KINDS", "PASSWORD", "USER", "RunningDav", "running_dav"]
