"""Tests of the guest book, with Litestar's test client."""

from litestar.testing import TestClient

from examples.litestar.application import make_app


def test_names_are_kept(tmp_path):
    """The names of guests are kept; a refused name is rolled back."""
    with TestClient(make_app(str(tmp_path / "guests.db"))) as client:
        assert "1" == client.post("/guests", content="Ada").text
        assert 400 == client.post("/guests", content=" ").status_code
        assert ["Ada"] == client.get("/guests").json()
        assert 200 == client.get("/healthy").status_code
