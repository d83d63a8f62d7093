"""What is behind the routes: the networks, the queue, and the answers that are kept."""

import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from fastapi import Request, UploadFile
from starlette.exceptions import HTTPException

from apps.service.batch import AT_ONCE, unpacked
from apps.service.explaining import Answer, Networks, Question
from apps.service.guards import Metrics
from apps.service.inputs import Sample, Unusable
from apps.service.models import Network, registry
from apps.service.work import Work
from skylight import params
from skylight.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How the service runs; `from_environment` reads it.

    Attributes
    ----------
    token : str
        What clients must send; empty: nothing.
    models : Path or None
        Folder of a user's own weights.
    origins : tuple of str
        Origins of web pages that may use the service (CORS).
    most_bytes : int
        Largest body of a request.
    places : int
        Requests that may wait or be worked on.
    seconds : float
        Longest time of a request.
    cache_bytes : int
        Size of the answers that are kept.
    """

    token: str = ""
    models: Path | None = None
    origins: tuple[str, ...] = ()
    most_bytes: int = 20 * 2**20
    places: int = 64
    seconds: float = 120
    cache_bytes: int = 2**27


def from_environment() -> Settings:
    """Return the settings of ``SKYLIGHT_TOKEN``, ``SKYLIGHT_MODELS`` and ``SKYLIGHT_ORIGINS``."""
    models, origins = os.environ.get("SKYLIGHT_MODELS"), os.environ.get("SKYLIGHT_ORIGINS", "").split()
    return Settings(os.environ.get("SKYLIGHT_TOKEN", ""), Path(models) if models else None, tuple(origins))


class Service:
    """The networks, the queue and the cache behind the routes."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.registry = registry(params.load(), settings.models)
        self.networks, self.metrics = Networks(), Metrics()
        self.work = Work(settings.places)
        self.metrics.queue.set_function(lambda: self.work.taken)
        self.cache = Cache(settings.cache_bytes)
        self.ready = False

    async def start(self) -> None:
        """Import TensorFlow in the thread of the networks."""
        await self.work.network(self.networks.start)
        self.ready = True

    def network(self, name: str) -> Network:
        """Return the network of this name; `HTTPException` if there is none, or its weights are missing."""
        if name not in self.registry:
            raise HTTPException(404, f"model: must be one of {', '.join(self.registry)}, got {name!r:.100}")
        network = self.registry[name]
        if missing := network.missing():
            raise HTTPException(404, f"{name}: {missing}")
        return network

    async def one(self, network: Network, upload: UploadFile, item: int, question: Question | None) -> Answer:
        """Answer about one object of an upload, while a place in the queue is held.

        Raises
        ------
        InputError
            The upload cannot be used.
        HTTPException
            The queue is full, the service stops, or the answer takes too long.
        """
        async with self.work.place(self.settings.seconds):
            data = await upload.read()
            key = (network.name, network.version(), hashlib.sha256(data).digest(), item, question)
            if (kept := self.cache.get(key)) is not None:
                self.metrics.cached.inc()
                return kept
            (sample,) = await self.work.decode(network.read, data, item, 1)
            if isinstance(sample, Unusable):
                raise InputError(sample.reason)
            return await self._answer(network, key, sample, question)

    async def many(
        self, network: Network, uploads: list[UploadFile], question: Question | None
    ) -> AsyncIterator[tuple[str, int | None, Answer | Exception]]:
        """Yield for each object of all uploads the name of its file, its number, and its answer or why it has none."""
        async with self.work.place(None):
            for upload in uploads:
                files = unpacked(upload.filename or "upload", await upload.read(), self.settings.most_bytes)
                while (file := await asyncio.to_thread(next, files, None)) is not None:
                    async for item, outcome in self._objects(network, file[1], question):
                        yield file[0], item, outcome

    async def _objects(
        self, network: Network, data: bytes | InputError, question: Question | None
    ) -> AsyncIterator[tuple[int | None, Answer | Exception]]:
        """Yield the number and the outcome of each object of a file."""
        if isinstance(data, InputError):
            yield None, data
            return
        content, first, items = hashlib.sha256(data).digest(), 0, 1
        while first < items:
            try:
                samples = await self.work.decode(network.read, data, first, AT_ONCE)
                answers = iter(() if question else await self._predictions(network, samples))
            except (InputError, HTTPException) as error:
                yield None, error
                return
            for item, sample in enumerate(samples, first):
                if isinstance(sample, Unusable):
                    yield item, InputError(sample.reason)
                elif question is None:
                    yield item, next(answers)
                else:
                    key = (network.name, network.version(), content, item, question)
                    yield item, await self._outcome(network, key, sample, question)
                items = sample.items
            first += AT_ONCE

    async def _predictions(self, network: Network, samples: list[Sample | Unusable]) -> list[Answer]:
        """Return the predictions of the samples that can be used, computed all at once."""
        good = [sample for sample in samples if isinstance(sample, Sample)]
        return await self.work.network(self.networks.predict_all, network, good) if good else []

    async def _outcome(self, network: Network, key: tuple, sample: Sample, question: Question) -> Answer | Exception:
        """Return an explanation, or why there is none."""
        try:
            async with asyncio.timeout(self.settings.seconds):
                return self.cache.get(key) or await self._answer(network, key, sample, question)
        except TimeoutError:
            return InputError(f"no answer within {self.settings.seconds:g} s")
        except (InputError, HTTPException) as error:
            return error

    async def _answer(self, network: Network, key: tuple, sample: Sample, question: Question | None) -> Answer:
        """Compute an answer in the thread of the networks, and keep it."""
        if question is None:
            return await self.work.network(self.cache.made, key, self.networks.predict, network, sample)
        return await self.work.network(self.cache.made, key, self.networks.explain, network, sample, question)


class Cache:
    """Keeps the last answers, up to a number of bytes, for several threads."""

    def __init__(self, most_bytes: int):
        self._kept, self._lock = LRUCache(most_bytes, getsizeof=lambda answer: answer.size), threading.Lock()

    def get(self, key: tuple) -> Answer | None:
        """Return a kept answer, or None."""
        with self._lock:
            return self._kept.get(key)

    def made(self, key: tuple, make: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return a kept answer; if there is none, make and keep it."""
        if (kept := self.get(key)) is not None:  # while this request waited, another one asked the same
            return kept
        answer = make(*arguments)
        with self._lock, contextlib.suppress(ValueError):  # larger than the whole cache
            self._kept[key] = answer
        return answer


async def unless_gone(request: Request, service: Service, work: Coroutine) -> Any:
    """Await work, and cancel it when the client hangs up."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(hung_up(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            service.metrics.gone.inc()
            raise HTTPException(499, "the client hung up")
        return await working
    finally:
        gone.cancel()
        working.cancel()


async def hung_up(request: Request) -> None:
    """Return when the client has hung up; its body is read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
