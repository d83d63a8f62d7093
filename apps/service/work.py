"""Work outside of the event loop: a bounded number of requests, one thread for the networks, some for the decoders."""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from starlette.exceptions import HTTPException

from apps.service import inputs
from skylight.child import Child
from skylight.errors import InputError, reason

DECODERS = 2
DECODER_MEMORY, DECODER_SECONDS = 2**30, 20
NETWORKS = "networks"


def unavailable(reason: str, seconds: int) -> HTTPException:
    """Return the error of a request that should be tried again after some seconds."""
    return HTTPException(503, reason, {"Retry-After": str(seconds)})


class Work:
    """The queue of the service.

    The networks run in one thread, one request after the other: TensorFlow has all cores for each, and no answer
    depends on what else is asked. The decoders run in processes of their own.

    Parameters
    ----------
    places : int
        Largest number of requests that wait or are worked on.
    """

    def __init__(self, places: int):
        self.places, self.taken, self.closed = places, 0, False
        self._networks, self._decoding = ThreadPoolExecutor(1, NETWORKS), ThreadPoolExecutor(DECODERS, "decoders")
        self._children: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._waiting: set[Future] = set()

    @property
    def full(self) -> bool:
        """Whether no request would be taken now."""
        return self.closed or self.taken >= self.places

    @contextlib.contextmanager
    def decoders(self) -> Iterator[None]:
        """Start the processes of the decoders, and end them with the block."""
        with contextlib.ExitStack() as stack:
            for _ in range(DECODERS):
                child = Child("apps.service.inputs", DECODER_MEMORY, DECODER_SECONDS)
                self._children.put(stack.enter_context(child))
            yield
            self._decoding.shutdown()

    @contextlib.asynccontextmanager
    async def place(self, seconds: float | None) -> AsyncIterator[None]:
        """Hold a place in the queue for as long as the block runs.

        Raises
        ------
        HTTPException
            503: no place is free, the service stops, or the block takes longer than ``seconds``.
        """
        self._check_open()
        if self.taken >= self.places:
            raise unavailable(f"all {self.places} places of the queue are taken", 5)
        self.taken += 1
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise unavailable(f"no answer within {seconds:g} s", 30) from None
        finally:
            self.taken -= 1

    async def decode(self, read: tuple, data: bytes, first: int, count: int) -> list[inputs.Sample | inputs.Unusable]:
        """Read objects of an upload in another process; `InputError` where it cannot be used, or crashes a decoder."""
        reader, *settings = read
        try:
            return await self._in(self._decoding, self._decode, reader, data, first, count, *settings)
        except ValueError as error:
            raise InputError(reason(error)) from error

    def _decode(self, *call: Any) -> list[inputs.Sample | inputs.Unusable]:
        child = self._children.get()
        try:
            return list(child(*call))
        finally:
            self._children.put(child)

    async def network(self, function: Callable, *arguments: Any) -> Any:
        """Run a function in the thread of the networks."""
        return await self._in(self._networks, function, *arguments)

    async def _in(self, pool: ThreadPoolExecutor, function: Callable, *arguments: Any) -> Any:
        self._check_open()
        future = pool.submit(function, *arguments)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self.closed and future.cancelled():
                self._check_open()
            raise

    def _check_open(self) -> None:
        if self.closed:
            raise unavailable("the service stops", 30)

    def close(self) -> None:
        """Answer all that wait with 503, now and later; what runs is finished. A signal handler may call this."""
        self.closed = True
        for future in tuple(self._waiting):
            future.cancel()  # does nothing to one that runs
