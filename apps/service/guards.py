"""What every request passes before it reaches the service: its size, its token, and the metrics."""

import asyncio
import hmac
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.service.problems import problem

OPEN = ("/health", "/ready")
"""Paths that need no token: a container's health check has none."""
DRAINED, DRAIN_SECONDS = 2**30, 10  # of a body that is too large, so that its client reads the answer


class Metrics:
    """The counters of the service, for Prometheus."""

    def __init__(self):
        self.registry = CollectorRegistry()
        labels = ["path", "status"]
        self.requests = Counter("skylight_requests", "Requests.", labels, registry=self.registry)
        self.seconds = Histogram(
            "skylight_request_seconds",
            "Time from the first byte of a request to the last one of its answer.",
            ["path"],
            registry=self.registry,
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
        )
        self.queue = Gauge("skylight_queue_length", "Requests that wait or are worked on.", registry=self.registry)
        self.cached = Counter("skylight_cache_hits", "Answers from the cache.", registry=self.registry)
        self.gone = Counter("skylight_clients_gone", "Clients that hung up.", registry=self.registry)


class Counted:
    """Counts requests and their seconds by the path of the route, and tells the client its milliseconds."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took = f"total;dur={1000 * (time.perf_counter() - start):.1f}"
                MutableHeaders(scope=message)["Server-Timing"] = took
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(path, status or "none").inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)


class Token:
    """Asks for a token (``Authorization: Bearer <token>``), compared in constant time."""

    def __init__(self, app: ASGIApp, token: str):
        self.app, self.expected = app, b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            given = Headers(scope=scope).get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self.expected):
                answer = problem(401, "this service needs its token", {"WWW-Authenticate": "Bearer"})
                return await answer(scope, receive, send)
        await self.app(scope, receive, send)


class UploadLimit:
    """Refuses a body of more than ``most`` bytes: by its declared length, or as soon as more have come."""

    def __init__(self, app: ASGIApp, most: int):
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared, seen = Headers(scope=scope).get("content-length", ""), 0
        reason = f"the body is larger than {self.most >> 20} MiB"
        if declared.isdecimal() and int(declared) > self.most:
            return await self._refuse(problem(413, reason), receive, send)

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise HTTPException(413, reason)
            return message

        await self.app(scope, counting, send)

    async def _refuse(self, answer, receive: Receive, send: Send) -> None:
        """Answer, and read for a while what the client still sends: many read the answer only after that."""
        start = {"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        left = DRAINED
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while left > 0 and (message := await receive()).get("more_body"):
                    left -= len(message["body"])
        except TimeoutError:
            pass
        await send({"type": "http.response.body"})
