"""``flightline simulate vault``: a Vault on this machine, with the constants of scaler and mover."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.durations import parse_duration

if TYPE_CHECKING:
    from flightline.vault_simulator import SimulatedVault

_FILE_AT_MOST_BYTES = 1 << 20
_ROLE, _SECRET_ID = "flightline", "flightline-secret-id"
_TEXT = """Vault (simulated) at {url}
  token     {token}
  AppRole   role id {role_id}, secret id {secret_id}
  secrets   {names}
  change    curl -X PATCH {url}/simulator/secrets/{mount}/webdav -d '{{"password": "another"}}'
  trouble   curl -X PATCH {url}/simulator/condition -d '{{"is_sealed": true}}'
  calls     GET {url}/simulator/calls

Paste into the terminal of Flightline:
{exports}

Ctrl-C ends it."""

DEMO: dict[str, dict[str, Any]] = {
    "webdav": {
        "host_url": "http://127.0.0.1:8080",
        "username": "test-user",
        "password": "test-password",
    },
    "scaler_constants": {
        "RAW_NAMES_PREFIXES": ["Unknown"],
        "RAW_REMOTE_DIR": "data/AI/_raw",
        "UNSORTED_REMOTE_DIR": "data/AI/_unsorted",
    },
    "mover_constants": {
        "IMAGES_ROOT_DIR": "data/AI/organized",
        "UNSORTED_REMOTE_DIR": "data/AI/_unsorted",
        "PARENT_TAG_VALUE": "ai",
    },
}
"""What is there without a file: as it fits ``flightline simulate nextcloud``."""


def vault(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any.")] = 8200,
    constants: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON object with an object for each secret; none: what fits the simulated Nextcloud.",
        ),
    ] = None,
    token: Annotated[str, typer.Option(help="Token that may do everything.")] = "root",  # noqa: S107 - of a simulator
    mount: Annotated[str, typer.Option(help="Where the secrets are.")] = "secret",
    kv_version: Annotated[int, typer.Option(min=1, max=2, help="Version of the key-value engine.")] = 2,
    lease: Annotated[str, typer.Option(help="How long a login by the AppRole is good.")] = "1h",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
) -> None:
    """Be a Vault with key-value secrets and logins, on loopback, until Ctrl-C."""
    from flightline.vault_simulator import SimulatedVault  # noqa: PLC0415 - so that --help is quick

    try:
        secrets = _read(constants) if constants else DEMO
        simulated = SimulatedVault()
        simulated.mount(mount, kv_version)
        simulated.add_root(token)
        simulated.add_approle(_ROLE, _SECRET_ID, role_id=_ROLE, lease_s=_seconds(lease))
        for name, values in secrets.items():
            simulated.put(f"{mount}/{name}", values)
        asyncio.run(_serve(simulated, port, token, mount, list(secrets), as_json=as_json))
    except (ValueError, OSError) as error:
        typer.echo(f"flightline simulate vault: {error}", err=True)
        raise typer.Exit(2) from error


def _read(path: Path) -> dict[str, dict[str, Any]]:
    with path.open("rb") as file:
        content = file.read(_FILE_AT_MOST_BYTES + 1)
    try:
        document = json.loads(content)
    except ValueError:
        document = None  # the error would show what is in the file
    if not isinstance(document, dict) or not all(isinstance(values, dict) for values in document.values()):
        raise ValueError(f"{path} is no JSON object with an object for each secret")
    return document


def _seconds(text: str) -> int:
    return max(1, round(parse_duration(text).total_seconds()))


async def _serve(
    simulated: SimulatedVault, port: int, token: str, mount: str, names: list[str], *, as_json: bool
) -> None:
    from flightline.vault_simulator import serving  # noqa: PLC0415
    from shared.service.serving import stop_signals  # noqa: PLC0415

    with stop_signals() as stop:
        async with serving(simulated, port) as url:
            facts = _facts(url, token, mount, names)
            typer.echo(json.dumps(facts) if as_json else _text(facts))
            await stop.wait()


def _facts(url: str, token: str, mount: str, names: list[str]) -> dict[str, Any]:
    return {
        "url": url,
        "token": token,
        "role_id": _ROLE,
        "secret_id": _SECRET_ID,
        "mount": mount,
        "secrets": [f"{mount}/{name}" for name in names],
        "environment": {
            "FLIGHTLINE_VAULT_URL": url,
            "FLIGHTLINE_VAULT_TOKEN": token,
            "FLIGHTLINE_CONSTANTS": f"vault:{mount}",
        },
    }


def _text(facts: dict[str, Any]) -> str:
    exports = "\n".join(f"export {name}={value}" for name, value in facts["environment"].items())
    return _TEXT.format(**facts, names=", ".join(facts["secrets"]), exports=exports)
