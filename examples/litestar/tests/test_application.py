"""The guest book, with Litestar's own test client."""

from litestar.testing import TestClient

from examples.litestar.application import make_app


def test_who_signs_is_read(tmp_path):
    """What one guest writes, the next one reads; a refused one is rolled back."""
    with TestClient(make_app(str(tmp_path / "guests.db"))) as client:
        assert "1" == client.post("/guests", content="Ada").text
        assert 400 == client.post("/guests", content=" ").status_code
        assert ["Ada"] == client.get("/guests").json()
        assert 200 == client.get("/healthy").status_code
