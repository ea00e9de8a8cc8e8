"""What can be set, and how faults are told."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from shared.durations import format_duration, parse_duration
from shared.errors import InvalidInputError
from shared.settings import CommaList, PlatformSettings, Port, ServiceSettings, load


class KiteSettings(ServiceSettings):
    """Settings of a service that exists only here."""

    model_config = SettingsConfigDict(env_prefix="KITE_")

    port: Port = 9000
    folders: CommaList = ()
    api_secret: SecretStr | None = None


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BUS", "STATE", "OBJECTS", "HOME", "HOST", "TOKEN", "FOLDERS", "TEST_DATA"):
        monkeypatch.delenv(f"FLIGHTLINE_{name}", raising=False)
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("PT5M", 300),
        ("300", 300),
        (300, 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("P1DT1S", 86401),
        ("0", 0),
    ],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5 minutes", "PT", "P", "-5s", "-1", "5m foo", "nan", "1e400", True, None]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "250ms", "5s", "2m", "1h30m", "1d1s"])
def test_a_formatted_duration_reads_back_the_same(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


def test_embedded_backends_lie_in_the_home_folder(tmp_path: Path) -> None:
    settings = load(PlatformSettings)

    assert settings.bus == f"sqlite://{tmp_path}/bus.db"
    assert settings.state == f"sqlite://{tmp_path}/state.db"
    assert settings.objects == f"file://{tmp_path}/objects"


def test_without_home_the_user_data_folder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLIGHTLINE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data/of/user")
    monkeypatch.setattr("sys.platform", "linux")

    assert load(PlatformSettings).home == Path("/data/of/user/flightline")


def test_retry_ladder_is_read_from_human_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_RETRY_LADDER", "5s, 30s,2m")

    assert [step.total_seconds() for step in load(PlatformSettings).retry_ladder] == [5, 30, 120]


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_LOG_FORMAT", "xml")
    monkeypatch.setenv("FLIGHTLINE_RETRY_LADDER", "5s,soon")
    monkeypatch.setenv("FLIGHTLINE_BUS", "http://user:hunter2@host")

    with pytest.raises(InvalidInputError) as raised:
        load(PlatformSettings)

    lines = str(raised.value).splitlines()
    assert "FLIGHTLINE_BUS=http://user:***@host: expected a URL that begins with amqp://" in lines[0]
    assert "FLIGHTLINE_RETRY_LADDER=soon: expected a duration" in lines[1]
    assert "FLIGHTLINE_LOG_FORMAT=xml: expected 'auto', 'json' or 'console'" in lines[2]


def test_a_fault_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITE_API_SECRET", "vault:kv/kite#hunter2")

    with pytest.raises(
        InvalidInputError, match=r"KITE_API_SECRET=\(hidden\).*VAULT_URL is not set"
    ) as raised:
        load(KiteSettings)

    assert "hunter2" not in str(raised.value)


def test_half_an_s3_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_S3_ACCESS_KEY", "AKIA")

    with pytest.raises(InvalidInputError, match="FLIGHTLINE_S3_SECRET_KEY belong together"):
        load(PlatformSettings)


def test_secret_fields_resolve_references(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("KITE_API_SECRET", f"file:{tmp_path}/secret")

    secret = load(KiteSettings).api_secret

    assert secret is not None
    assert secret.get_secret_value() == "hunter2"


def test_a_broker_url_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_OF_TEAM", "amqp://user:hunter2@host")
    monkeypatch.setenv("FLIGHTLINE_BUS", "env:BROKER_OF_TEAM")

    assert load(PlatformSettings).bus == "amqp://user:hunter2@host"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "kite.example.org"])
def test_listening_wider_than_loopback_demands_a_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("KITE_HOST", host)

    with pytest.raises(InvalidInputError, match="lets other machines in: set KITE_TOKEN"):
        load(KiteSettings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_needs_no_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("KITE_HOST", host)

    assert load(KiteSettings).token is None


def test_host_and_token_fall_back_to_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOST", "0.0.0.0")
    monkeypatch.setenv("FLIGHTLINE_TOKEN", "hunter2")
    monkeypatch.setenv("FLIGHTLINE_FOLDERS", "/not/of/this/service")

    settings = load(KiteSettings)

    assert settings.host == "0.0.0.0"
    assert settings.token == SecretStr("hunter2")
    assert settings.folders == ()


def test_the_own_host_goes_before_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOST", "0.0.0.0")
    monkeypatch.setenv("KITE_HOST", "127.0.0.1")

    assert load(KiteSettings).host == "127.0.0.1"


def test_a_misspelt_variable_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KITE_FOLDRES", "a,b")
    monkeypatch.setenv("KITE_SERVICE_HOST", "10.0.0.1")  # as Kubernetes does for a service called kite

    with caplog.at_level(logging.WARNING):
        load(KiteSettings)

    assert caplog.messages == ["KITE_FOLDRES is no setting; did you mean KITE_FOLDERS?"]


def test_settings_cannot_be_changed_later() -> None:
    settings = load(KiteSettings)

    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "port", 1)  # noqa: B010 - mypy knows that an assignment fails


def test_every_platform_setting_has_a_description() -> None:
    fields = {**PlatformSettings.model_fields, **ServiceSettings.model_fields}

    assert [name for name, field in fields.items() if not field.description] == []
