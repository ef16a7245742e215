"""Tests of the guest book, with FastStream's broker in memory."""

from faststream.nats import TestNatsBroker

from examples.faststream.application import make_app


async def test_guests_are_welcomed(tmp_path):
    """The reply counts the guests; a guest without a name is not kept."""
    app = make_app(str(tmp_path / "guests.db"))

    async with TestNatsBroker(app.broker, connect_only=True) as broker:
        await app.start()
        await broker.publish(" ", "guests.sign")
        first = await broker.request("Ada", "guests.sign")
        second = await broker.request("Grace", "guests.sign")
        await app.stop()

    assert "Welcome, Ada! You are guest number 1." == await first.decode()
    assert "Welcome, Grace! You are guest number 2." == await second.decode()
