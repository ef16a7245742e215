"""Tests of the guest book, with TaskIQ's broker in memory."""

from examples.taskiq.application import make_broker


async def test_guests_are_counted(tmp_path):
    """Each guest has a number; a guest without a name is not kept."""
    broker = make_broker(str(tmp_path / "guests.db"))
    await broker.startup()
    sign = broker.find_task("sign")

    results = [
        await (await sign.kiq(name)).wait_result(timeout=10) for name in ("Ada", " ", "Grace")
    ]
    await broker.shutdown()

    assert [1, None, 2] == [result.return_value for result in results]
