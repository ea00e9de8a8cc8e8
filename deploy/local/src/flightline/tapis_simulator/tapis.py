"""One Tapis: its tenant, systems, users and tokens, how fast it is and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flightline.tapis_simulator.accounts import Accounts
from flightline.tapis_simulator.calls import Calls
from flightline.tapis_simulator.faults import Faults
from flightline.tapis_simulator.files import FileTree
from flightline.tapis_simulator.postits import PostIts
from flightline.tapis_simulator.systems import StorageSystem, SystemType
from flightline.tapis_simulator.tokens import Issuer
from flightline.tapis_simulator.transfers import Transfers

ACCESS_TTL_S = 14_400.0
REFRESH_TTL_S = 31_536_000.0
FIRST_IMAGE_S = 1_718_180_000

Recursion = Literal["2024", "spec"]
"""Whether a listing's ``pattern`` keeps it out of folders, as the code of 2024 does, or not, as specified."""


@dataclass(slots=True)
class Pace:
    """How quickly things go.

    Attributes:
        latency_s: Every answer of Systems and Files comes so late.
        transfer_bytes_per_s: Speed of transfers between systems; none: at once.
    """

    latency_s: float = 0
    transfer_bytes_per_s: float | None = None


class Tapis:
    """Everything that a simulator knows; its HTTP side is in `serving`.

    Args:
        tenant: Id of the tenant.
        access_ttl_s: For how long access tokens are good.
        refresh_ttl_s: For how long refresh tokens are good.
    """

    def __init__(
        self,
        tenant: str = "portals",
        *,
        access_ttl_s: float = ACCESS_TTL_S,
        refresh_ttl_s: float = REFRESH_TTL_S,
        pace: Pace | None = None,
    ) -> None:
        self.tenant = tenant
        self.base_url = ""
        self.issuer = Issuer(tenant, access_ttl_s, refresh_ttl_s)
        self.accounts = Accounts()
        self.systems: dict[str, StorageSystem] = {}
        self.faults = Faults()
        self.calls = Calls()
        self.pace = pace or Pace()
        self.postits = PostIts()
        self.transfers = Transfers()
        self.recursion: Recursion = "2024"

    def add_system(
        self,
        name: str,
        owner: str,
        *,
        files: FileTree | None = None,
        type: SystemType = "LINUX",  # noqa: A002
    ) -> StorageSystem:
        """Make a system, empty unless ``files`` are given; what else it can be is set on what is returned."""
        system = StorageSystem(name, owner, files or FileTree(seed=name), type)
        self.systems[name] = system
        return system

    def add_flight(
        self,
        system: str,
        name: str,
        images: int,
        *,
        owner: str,
        size_bytes: int = 1000,
        modified_s: int = FIRST_IMAGE_S,
    ) -> StorageSystem:
        """Put a flight of made-up images, a second apart, on a system, which is made if it is not there."""
        place = self.systems.get(system) or self.add_system(system, owner)
        for number in range(1, images + 1):
            path = f"{name}/code/images/DJI_{number:05}.JPG"
            place.files.add(path, size_bytes, modified_s + number)
        return place

    def at(self, base_url: str) -> None:
        """Learn the URL that clients reach the simulator at."""
        self.base_url = base_url
        self.issuer.issuer = f"{base_url}/v3/tokens"
