"""Sockets of a gateway in this process: small packets go out at once on both legs, and nothing of it stays behind.

With Nagle's algorithm a stream's first chunk waits some 40 ms for the other side's delayed acknowledgement.
"""

import asyncio
import os
import socket
import threading

import httpx
import psutil
import pytest
import uvicorn

from router.app import create_app
from router.serving import options
from tests.wire.rig import KEY, MESSAGES, free_port, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def here(rig):
    """A second gateway over the rig's ledger and upstreams, in a thread: its server, loop and port."""
    port = free_port()
    settings = rig.settings.model_copy(
        update={
            "server": rig.settings.server.model_copy(update={"port": port}),
            "ledger": rig.settings.ledger.model_copy(update={"spool_dir": rig.config.parent / "spool-here"}),
        }
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings=settings), **options(settings.server)))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield loop, port
    server.should_exit = True
    thread.join(timeout=15.0)
    assert not thread.is_alive()


def ours(port: int, *, remote: bool) -> list[socket.socket]:
    """This process's connections whose other end, or own end, is at a port."""
    found = []
    for each in psutil.Process().net_connections(kind="tcp"):
        end = each.raddr if remote else each.laddr
        if each.status == psutil.CONN_ESTABLISHED and end and end.port == port:
            found.append(socket.socket(fileno=os.dup(each.fd)))
    return found


def test_small_packets_are_sent_at_once_on_both_legs(rig, here):
    _, port = here
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}) as client:
        for model, route in (("essay", "student"), ("big", "teacher")):
            body = {"model": model, "messages": MESSAGES, "stream": True}
            assert client.post("/v1/chat/completions", json=body).headers["x-tutelage-route"] == route
        towards_client = ours(port, remote=False)
        upstream = ours(rig.student.port, remote=True) + ours(rig.teacher.port, remote=True)
        assert towards_client and len(upstream) >= 2
        for each in towards_client + upstream:
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), each
            each.close()


def test_after_streams_that_were_left_no_task_is_left(rig, here):
    loop, port = here
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}) as client:
        body = {"messages": MESSAGES, "stream": True}
        client.post("/v1/chat/completions", json={**body, "model": "essay"})
        wait_for(lambda: rig.student.active == 0)
        before = len(asyncio.all_tasks(loop))
        for model in ("essay", "big") * 20:
            with client.stream("POST", "/v1/chat/completions", json={**body, "model": model}) as response:
                next(response.iter_bytes())
        wait_for(lambda: len(asyncio.all_tasks(loop)) <= before)
