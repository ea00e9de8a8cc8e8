"""What every service is: resources and loops with health and an orderly end, and an HTTP application.

``running`` has what runs; ``application``, ``serving`` and ``command`` what is reached over HTTP.
"""

from shared.service.running import Resources, Service, State

__all__ = ["Resources", "Service", "State"]
