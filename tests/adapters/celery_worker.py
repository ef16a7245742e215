"""A Celery worker in this process, which stops quickly."""

import contextlib
import threading

from celery import Celery, Task
from celery.contrib.testing.worker import start_worker


def make_app():
    """Make an application whose queue and results are in memory."""
    app = Celery("shop", broker="memory://", backend="cache+memory://")
    # By default, a worker looks into the queue once a second.
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    return app


@contextlib.contextmanager
def running(app, pool="threads"):
    """Run a worker of *app*."""
    is_over = threading.Event()

    @app.task(base=Task, shared=False)
    def nudge():
        """Do nothing."""

    def wake():
        # The worker checks whether it should stop only after a message, or after two seconds.
        while not is_over.wait(0.05):
            nudge.delay()

    with contextlib.ExitStack() as stack:
        stack.callback(is_over.set)
        stack.enter_context(
            start_worker(app, pool=pool, concurrency=2, perform_ping_check=False)
        )
        stack.callback(threading.Thread(target=wake).start)
        yield


def result_of(task, *args):
    """Send a task; return its result or its exception."""
    return task.delay(*args).get(propagate=False, timeout=10, interval=0.01)
