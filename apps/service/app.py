"""The service: predictions of the networks, and the maps that explain them.

    python -m apps.service --port 8080

docs/service.md describes it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from markdown_it import MarkdownIt
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from apps.service import answers, drawing, examples, problems, trust
from apps.service.batch import MOST_FILES, Table, archived, lines
from apps.service.explaining import Answer, Question, checked
from apps.service.guards import Counted, Token, UploadLimit
from apps.service.serving import Service, Settings, unless_gone
from skylight import __version__, params
from skylight.errors import InputError

DOCS = Path(__file__).parents[2] / "docs/service.md"
JSON, PNG, NPY = "application/json", "image/png", "application/x-npy"
CSV, ZIP = "text/csv", "application/zip"
Upload = Annotated[UploadFile, File(description="one object, or several; `item` chooses")]
Name = Annotated[str, Form(max_length=64, description="name of a network, see /models")]
Item = Annotated[int, Form(ge=0, lt=2**31, description="number of the object in the file")]
Choice = Annotated[str | None, Form(max_length=64)]
Steps = Annotated[int | None, Form(ge=1, le=1000, description="points, noisy copies or masks, see /models")]
Seed = Annotated[int | None, Form(ge=0, lt=2**31)]
ERRORS = {
    status: {"model": problems.Problem, "content": {problems.MEDIA_TYPE: {}}}
    for status in (400, 401, 404, 406, 413, 422, 503)
}


def create(settings: Settings) -> FastAPI:
    """Build the service; ``app.state.service`` is its `Service`.

    Raises
    ------
    InputError
        ``params.yaml`` or the entries of ``SKYLIGHT_MODELS`` are wrong.
    """
    service, chapters = Service(settings), params.load()

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        with service.work.decoders():
            starting = asyncio.create_task(service.start())
            yield
            service.work.close()
            starting.cancel()

    app = FastAPI(
        title="Skylight",
        version=__version__,
        summary="Networks for astronomy and radiology, with the maps that explain their answers.",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        exception_handlers={
            HTTPException: problems.of_http,
            RequestValidationError: problems.of_fields,
            InputError: problems.of_input,
            Exception: problems.unforeseen,
        },
    )
    app.state.service = service
    app.add_middleware(UploadLimit, most=settings.most_bytes)  # the last one of these sees a request first
    if settings.token:
        app.add_middleware(Token, token=settings.token)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, allow_headers=["Authorization"])
    app.add_middleware(Counted, metrics=service.metrics)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        """Return the documentation of the service."""
        text = MarkdownIt("commonmark").enable("table").render(DOCS.read_text(encoding="utf-8"))
        return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Skylight</title><body>{text}</body></html>'

    @app.get("/health")
    async def health() -> answers.Status:
        """Say that the service is alive."""
        return answers.Status(status="alive")

    @app.get("/ready", responses={503: ERRORS[503]})
    async def ready() -> answers.Status:
        """Say whether the service takes work."""
        if not service.ready or service.work.full:
            raise HTTPException(503, "not ready", {"Retry-After": "5"})
        return answers.Status(status="ready")

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return the counters, in the format of Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/models")
    def models() -> answers.Models:
        """List the networks, with their classes, methods and versions."""
        return answers.Models(models=[answers.described(network) for network in service.registry.values()])

    @app.get("/models/{model}/examples", responses=ERRORS)
    def example_files(model: str) -> list[examples.Example]:
        """List files to try a network with; none where the survey of its chapter is not on this machine."""
        return [example for example, _ in examples.of_network(service.network(model), chapters).values()]

    @app.get("/models/{model}/examples/{name}", responses=ERRORS, response_class=Response)
    def example_file(model: str, name: str) -> Response:
        """Return one of them."""
        data = examples.content(service.network(model), chapters, name)
        return Response(data, media_type="application/octet-stream")

    @app.get("/models/{model}/trust", responses=ERRORS)
    def measured(model: str, method: str, score: str = "log_odds") -> trust.Trust:
        """Say how far to trust a method: what the chapter of the network has measured of it, beside the controls."""
        return trust.measured(service.network(model), chapters, method, score)

    @app.post("/predict", responses=ERRORS)
    async def predict(request: Request, file: Upload, model: Name, item: Item = 0) -> answers.Predicted:
        """Say what a network predicts for a file."""
        network = service.network(model)
        answer = await unless_gone(request, service, service.one(network, file, item, None))
        return answers.predicted(answer, item)

    @app.post("/explain", responses=ERRORS, response_model=answers.Explained)
    async def explain(
        request: Request,
        file: Upload,
        model: Name,
        asked: Annotated[Question, Depends(asked)],
        style: Annotated[drawing.Style, Depends(drawn)],
        item: Item = 0,
        view: Annotated[Literal["overlay", "map", "picture"], Form(description="of Accept: image/png")] = "overlay",
    ) -> Response:
        """Say what a network predicts, and draw the map that explains it.

        The answer is JSON with the pictures in it; with ``Accept: image/png`` or ``application/x-npy``, the map alone.
        """
        network = service.network(model)
        kind = accepted(request.headers.get("accept", "*/*"), (JSON, PNG, NPY))
        answer = await unless_gone(request, service, service.one(network, file, item, checked(network, asked)))
        return await asyncio.to_thread(rendered, answer, item, kind, view, style)

    @app.post("/batch", responses=ERRORS, response_class=Response)
    async def batch(
        request: Request,
        files: Annotated[list[UploadFile], File(description="files, or zips of files", max_length=MOST_FILES)],
        model: Name,
        asked: Annotated[Question, Depends(asked)],
        style: Annotated[drawing.Style, Depends(drawn)],
    ) -> Response:
        """Answer about every object of many files.

        The answer is a table, ``Accept: text/csv``, or an archive of the table and the maps, ``application/zip``. It is
        sent while it is made. An object that cannot be used is a row with the reason.
        """
        network = service.network(model)
        kind = accepted(request.headers.get("accept", "*/*"), (CSV, ZIP))
        question = checked(network, asked)
        table = Table(network, kind == ZIP)
        outcomes = service.many(network, files, question if kind == ZIP else None)
        parts = archived(table, outcomes, style) if kind == ZIP else lines(table, outcomes)
        first = await anext(parts)  # a full queue is an error of the request, not of the table
        return StreamingResponse(rest(first, parts), media_type=kind)

    return app


def asked(
    method: Choice = None,
    target: Choice = None,
    against: Choice = None,
    score: Choice = None,
    baseline: Choice = None,
    steps: Steps = None,
    seed: Seed = None,
) -> Question:
    """Return the question of a form; an empty field is one that is not there."""
    return Question(method or None, target or None, against or None, score or None, baseline or None, steps, seed)


def drawn(
    opacity: Annotated[float, Form(ge=0, le=1)] = 0.7,
    clip: Annotated[float, Form(gt=0, le=100, description="percentile of the absolute values")] = 99.5,
    sign: Annotated[Literal["both", "positive", "negative"], Form()] = "both",
) -> drawing.Style:
    """Return how the map of a form is drawn."""
    return drawing.Style(opacity, clip, sign)


async def rest(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a first part, and the others."""
    yield first
    async for part in parts:
        yield part


def rendered(answer: Answer, item: int, kind: str, view: str, style: drawing.Style) -> Response:
    """Return an explanation as JSON, PNG or NPY."""
    if kind == NPY:
        return Response(drawing.npy(answer.maps), media_type=NPY)
    if kind == PNG:
        return Response(drawing.png(drawing.VIEWS[view](answer.sample, answer.maps, style)), media_type=PNG)
    return JSONResponse(answers.explained(answer, item, style).model_dump())


def accepted(header: str, offered: tuple[str, ...]) -> str:
    """Return the media type that a client prefers; `HTTPException` if it takes none that is offered."""
    wanted = []
    for part in header.split(","):
        media, *options = (word.strip() for word in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        with contextlib.suppress(ValueError):
            wanted.append((float(quality), media.lower()))
    for quality, media in sorted(wanted, key=lambda each: -each[0]):
        for kind in offered:
            if quality > 0 and media in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
                return kind
    raise HTTPException(406, f"Accept: one of {', '.join(offered)}")
