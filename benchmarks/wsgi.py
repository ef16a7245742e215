"""A client that calls a WSGI application directly, without a server."""

import io
import sys
from collections.abc import Callable
from typing import Any

Application = Callable[..., Any]


class Client:
    """Calls an application as a server would.

    Args:
        application: The application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def get(self, path: str) -> tuple[int, bytes]:
        """Request a path.

        Args:
            path: The path, which begins with a slash.

        Returns:
            The status and the body of the response.
        """
        statuses: list[str] = []

        def start_response(status: str, headers: object, error: object = None) -> None:
            statuses.append(status)

        response = self._application(
            {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": path,
                "QUERY_STRING": "",
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "HTTP_HOST": "localhost",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": False,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            },
            start_response,
        )
        try:
            body = b"".join(response)
        finally:
            response.close()
        return int(statuses[0][:3]), body
