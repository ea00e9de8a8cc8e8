"""A Nextcloud to try things out with: WebDAV files with ids, ETags, hashes and system tags."""

from flightline.nextcloud_simulator.faults import Rule
from flightline.nextcloud_simulator.nextcloud import Nextcloud
from flightline.nextcloud_simulator.serving import serving

__all__ = ["Nextcloud", "Rule", "serving"]
