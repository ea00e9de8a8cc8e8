"""What every service is: an HTTP application with health, errors, loops and an orderly end."""

from shared.service.access import authorised
from shared.service.application import Service, State, create_service
from shared.service.command import start
from shared.service.serving import run, serving, stop_signals

__all__ = ["Service", "State", "authorised", "create_service", "run", "serving", "start", "stop_signals"]
