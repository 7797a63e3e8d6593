"""Exceptions that refuse a request: the client is told why, and the server continues.

They pass between processes, so the module imports nothing: see `worker_pool`.
"""


class RequestError(Exception):
    """A request that is refused.

    The message says what happened, what was expected and what was received. Status and headers are
    those of the answer.
    """

    def __init__(self, message: str, status: int = 400, **headers: str):
        super().__init__(message, status)  # pickle makes a copy from these and the attributes
        self.status = status
        self.message = message
        self.headers = headers


class QueueFull(Exception):
    """More is waiting than can be answered in good time."""
