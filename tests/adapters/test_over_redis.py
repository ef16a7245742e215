"""Celery with a real broker: Redis, in a process of its own, where it is installed."""

import shutil
import socket
import subprocess

import pytest

from tests.adapters import test_celery

SECONDS = 60


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """The address of a new Redis server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.communicate(timeout=SECONDS)


@pytest.fixture
def _served_by_redis(redis_url, monkeypatch):
    monkeypatch.setenv("SHOP_BROKER", redis_url)


@pytest.mark.usefixtures("_served_by_redis")
class TestCelery(test_celery.TestWorkerProcesses):
    """Workers of Celery in processes of their own, over Redis."""
