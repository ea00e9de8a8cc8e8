"""Telling webhooks whose receivers are silent, slow, endless or elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from odm_gateway.adapters.receivers import Receivers, SilentError
from odm_gateway.adapters.webhooks import CONNECTIONS_AT_MOST, Webhooks
from odm_gateway.domain.webhooks import Hook
from shared.errors import TransientError
from shared.webhooks import open_webhooks
from tests.support.webhook_receiver import webhook_receiver

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def nothing(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        await writer.drain()


async def dripping_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def raw_receiver(answer: Answer) -> AsyncIterator[tuple[str, list[int]]]:
    """Run a server that answers in its own way; yield its URL, and the connections that were made."""
    connections: list[int] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        connections.append(len(connections))
        with suppress(ConnectionError, asyncio.CancelledError):
            await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", connections
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    async with open_webhooks(
        allow_private=True, secret=None, answer_within_s=1.5, connections=CONNECTIONS_AT_MOST
    ) as sender:
        yield Webhooks(sender)


def hook(url: str) -> Hook:
    return Hook("task", url, is_trusted=False)


async def test_a_silent_receiver_keeps_few_in_hand_and_nobody_else_waiting(webhooks: Webhooks) -> None:
    async with raw_receiver(nothing) as (silent, connections), webhook_receiver() as other:
        lost = [asyncio.create_task(webhooks.post(hook(silent), b"{}", str(n))) for n in range(60)]
        await asyncio.sleep(0.1)
        await webhooks.post(hook(f"{other.url}/mine"), b"{}", "1")
        assert not any(task.done() for task in lost)
        outcomes = await asyncio.gather(*lost, return_exceptions=True)

    assert len(other.heard) == 1
    assert len(connections) <= webhooks.receivers.at_once
    assert all(isinstance(outcome, TransientError) for outcome in outcomes)


async def test_who_did_not_answer_is_left_alone_for_a_while_and_then_asked_again(webhooks: Webhooks) -> None:
    patient = replace(webhooks, receivers=Receivers(silent_for_s=1.0))
    async with raw_receiver(nothing) as (silent, connections):
        for _ in range(3):
            with pytest.raises(TransientError):
                await patient.post(hook(silent), b"{}", "1")
        assert len(connections) == 1
        await asyncio.sleep(1.1)
        with pytest.raises(TransientError, match="cannot be reached"):
            await patient.post(hook(silent), b"{}", "1")
        assert len(connections) == 2


async def test_a_refusal_closes_nobody(webhooks: Webhooks) -> None:
    async with webhook_receiver() as receiver:
        receiver.answers = [500]
        with pytest.raises(TransientError, match="answered 500"):
            await webhooks.post(hook(receiver.url), b"{}", "1")
        await webhooks.post(hook(receiver.url), b"{}", "1")


async def test_who_waits_too_long_for_a_turn_comes_again_later() -> None:
    receivers = Receivers(at_once=1, turn_within_s=0.05)
    async with receivers.turn("busy"), receivers.turn("idle"):
        with pytest.raises(SilentError, match="enough to do"):
            async with receivers.turn("busy"):
                raise AssertionError
    async with receivers.turn("busy"):
        pass


async def test_an_endless_answer_is_not_read(webhooks: Webhooks) -> None:
    async with raw_receiver(endless_body) as (url, connections):
        await asyncio.wait_for(webhooks.post(hook(url), b"{}", "1"), 10)
        assert len(connections) == 1


async def test_an_answer_that_drips_is_none(webhooks: Webhooks) -> None:
    async with raw_receiver(dripping_head) as (url, _):
        with pytest.raises(TransientError, match="cannot be reached: TimeoutError"):
            await asyncio.wait_for(webhooks.post(hook(f"{url}?key=hush"), b"{}", "1"), 10)


async def test_a_redirect_is_followed_nowhere(webhooks: Webhooks) -> None:
    async with webhook_receiver() as target:

        async def redirect(writer: asyncio.StreamWriter) -> None:
            writer.write(
                f"HTTP/1.1 307 Elsewhere\r\nLocation: {target.url}/\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await writer.drain()

        async with raw_receiver(redirect) as (url, _):
            with pytest.raises(TransientError, match="answered 307"):
                await webhooks.post(hook(url), b"{}", "1")
        assert target.heard == []
