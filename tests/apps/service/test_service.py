"""The service over HTTP: answers, hostile uploads, load, and its end."""

import asyncio
import base64
import contextlib
import csv
import io
import os
import signal
import socket
import tarfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from apps.service import app, inputs
from apps.service.serving import Settings
from apps.service.work import Work
from tests.apps.service.conftest import Server, noise, running, saved

pytestmark = pytest.mark.slow  # a real server

CLASSES = ["high", "low"]
NOISY = {"model": "metallicity", "method": "smoothgrad", "steps": 10}
IG = {"model": "metallicity", "method": "integrated_gradients"}


@pytest.fixture(scope="module")
def metallicity(folder):
    """The network that the server has, and the input of `noise` of seed 0."""
    from skylight import params
    from skylight.networks.metallicity_cnn import load_metallicity_cnn

    settings = params.load(folder / "params.yaml").metallicity
    size = settings.transform.size
    path = folder / "out/metallicity/networks/classifier.weights.h5"
    (sample,) = inputs.metal_galaxy(saved(noise(0)), 0, 1, size, settings.data.pixel_scale)
    return load_metallicity_cnn(path, size, 2, settings.network.width), sample.inputs[None]


def test_probabilities_are_those_of_the_network_and_sum_to_one(server, metallicity):
    model, image = metallicity
    answer = server.post("/predict", saved(noise(0)), model="metallicity").json()
    probabilities = answer["prediction"]["probabilities"]
    expected = model.predict(image, verbose=0)[0]
    assert list(probabilities) == CLASSES and sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert list(probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    assert max(expected) > np.e / (np.e + 1) + 0.01  # more than a softmax of a softmax of two classes can be
    assert answer["prediction"]["predicted"] == CLASSES[int(expected.argmax())]


def test_maps_are_those_of_the_method(server, metallicity):
    from skylight.attribution import completeness_gap, integrated_gradients

    model, image = metallicity
    fields = IG | {"target": "low", "steps": 10, "score": "logit", "baseline": "mean"}
    answer = server.post("/explain", saved(noise(0)), **fields).json()
    array = server.post("/explain", saved(noise(0)), accept="application/x-npy", **fields)
    baseline = np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), image.shape)
    options = {"baseline": baseline, "score": "logit"}
    maps = integrated_gradients(model, image, 1, steps=10, **options)
    assert np.allclose(np.load(io.BytesIO(array.content)), maps[0], atol=1e-6)
    explanation = answer["explanation"]
    gap = completeness_gap(model, image, 1, maps, **options)[0]
    assert explanation["completeness_gap"] == pytest.approx(gap, abs=1e-4)
    assert {name: explanation[name] for name in ("method", "target", "score", "baseline", "steps", "seed")} == {
        **{"method": "integrated_gradients", "target": "low", "score": "logit", "baseline": "mean"},
        **{"steps": 10, "seed": None},
    }
    assert explanation["shape"] == list(maps[0].shape)


def test_pictures_are_png_in_json_and_alone(server):
    answer = server.post("/explain", saved(noise(0)), **IG).json()
    for view, name in (("overlay", "overlay"), ("map", "map"), ("picture", "picture")):
        alone = server.post("/explain", saved(noise(0)), accept="image/png", view=view, **IG)
        assert alone.headers["content-type"] == "image/png"
        assert base64.b64decode(answer["images"][name]) == alone.content
        assert Image.open(io.BytesIO(alone.content)).format == "PNG"
    refused = server.post("/explain", saved(noise(0)), accept="text/html", **IG)
    assert refused.status_code == 406 and "image/png" in refused.json()["detail"]


def test_the_same_request_gives_the_same_bytes_here_and_elsewhere(server, folder, monkeypatch):
    fields = {"model": "metallicity", "method": "smoothgrad", "seed": 3}
    first = server.post("/explain", saved(noise(1)), **fields)
    hits = server.count("skylight_cache_hits_total")
    again = server.post("/explain", saved(noise(1)), **fields)
    assert first.content == again.content and server.count("skylight_cache_hits_total") == hits + 1
    assert float(again.headers["server-timing"].removeprefix("total;dur=")) > 0
    monkeypatch.chdir(folder)
    with TestClient(app.create(Settings())) as other:
        elsewhere = other.post("/explain", files={"file": saved(noise(1))}, data=fields)
    assert elsewhere.content == first.content
    changed = server.post("/explain", saved(noise(1)), **fields | {"seed": 4})
    assert changed.json()["explanation"]["sum"] != first.json()["explanation"]["sum"]


def test_every_default_explains(server, star, packet, chunk):
    for model, file in (
        ("periodic", star),
        ("realbogus", packet),
        ("braai", packet),
        ("supernovae-cap", chunk),
        ("metallicity", saved(noise(0))),
    ):
        item = 1 if model == "supernovae-cap" else 0
        answer = server.post("/explain", file, model=model, item=item)
        assert answer.status_code == 200, answer.text
        answer = answer.json()
        assert sum(answer["prediction"]["probabilities"].values()) == pytest.approx(1, abs=1e-5), model
        if answer["explanation"]["method"] == "deep_shap":
            assert abs(answer["explanation"]["completeness_gap"]) < 1e-3


def test_every_method_explains(server):
    known = {each["name"]: each for each in httpx.get(f"{server.url}/models").json()["models"]}
    methods = known["metallicity"]["methods"]
    assert len(methods) > 10
    for method, described in methods.items():
        steps = {"steps": 10} if described["steps"] else {}
        answer = server.post("/explain", saved(noise(2)), model="metallicity", method=method, **steps)
        assert answer.status_code == 200, (method, answer.text)
        assert described["signed"] or answer.json()["explanation"]["lowest"] >= 0, method


def test_models_say_what_is_missing_and_how_it_is_made(server):
    known = {each["name"]: each for each in httpx.get(f"{server.url}/models").json()["models"]}
    assert known["metallicity"]["available"] and len(known["metallicity"]["version"]) == 32
    assert known["gone"]["classes"] == ["rich", "poor"] and not known["gone"]["available"]
    reason = "`dvc repro metallicity-regress` makes them"
    assert known["metallicity-regression"]["missing"].endswith(reason)
    answer = server.post("/predict", saved(noise(0)), model="metallicity-regression")
    assert answer.status_code == 404 and answer.json()["detail"].endswith(reason)


def test_the_documentation_is_the_first_page(server):
    answer = httpx.get(f"{server.url}/")
    assert "<h1>The service</h1>" in answer.text and "http-equiv" not in answer.text and "<script" not in answer.text


@pytest.mark.parametrize(
    "fields, status, reason",
    [
        ({"model": "nothing"}, 404, "model: must be one of periodic"),
        ({"method": "magic"}, 422, "method: must be one of integrated_gradients"),
        ({"target": "medium"}, 422, "target: must be one of high, low, got 'medium'"),
        ({"method": "saliency", "steps": 10}, 422, "steps: saliency has no such option"),
        ({"method": "saliency", "baseline": "mean"}, 422, "baseline: saliency has no such option"),
        ({"steps": 51}, 422, "steps: must be one of 10, 50, 200, got 51"),
        ({"steps": "many"}, 422, "steps: Input should be a valid integer"),
        ({"score": "loss"}, 422, "score: must be one of log_odds"),
        ({"baseline": "white"}, 422, "baseline: must be one of black, mean, got 'white'"),
        ({"against": "low", "target": "low"}, 422, "against: must be another class than the target"),
        ({"against": "low", "score": "probability"}, 422, "against: needs the score logit"),
        ({"item": 1}, 422, "item: the file has 1 object(s), numbered from 0, so there is no object 1"),
        ({"item": -1}, 422, "item: Input should be greater than or equal to 0"),
        ({"opacity": 2}, 422, "opacity: Input should be less than or equal to 1"),
    ],
)
def test_a_wrong_field_is_one_reason(server, fields, status, reason):
    answer = server.post("/explain", saved(noise(0)), **IG | fields)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"} and problem["status"] == status
    assert reason in problem["detail"] and "\n" not in problem["detail"]


def exif() -> Image.Exif:
    """Orientation 6: the picture lies on its side."""
    made = Image.Exif()
    made[0x0112] = 6
    return made


def wide() -> np.ndarray:
    """16-bit grey."""
    return np.random.default_rng(0).integers(0, 2**16, (64, 64), dtype=np.uint16)


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved(noise(0)),
        lambda: saved(noise(0)[..., 0]),
        lambda: saved(wide()),
        lambda: saved(Image.fromarray(noise(0)).convert("RGBA")),
        lambda: saved(Image.fromarray(noise(0)).convert("P")),
        lambda: saved(Image.fromarray(noise(0)).convert("CMYK"), "JPEG"),
        lambda: saved(noise(0), "JPEG", exif=exif()),
        lambda: saved(noise(0), "TIFF"),
    ],
    ids=["8 bits", "grey", "16 bits", "RGBA", "palette", "CMYK", "EXIF", "TIFF"],
)
def test_pictures_of_all_kinds_are_read(server, make):
    answer = server.post("/predict", make(), model="metallicity")
    assert answer.status_code == 200, answer.text


def test_the_orientation_of_a_picture_is_applied(server):
    upright = saved(np.rot90(noise(0)[:, :, :], k=-1), "PNG")
    on_its_side = saved(Image.fromarray(noise(0)), "PNG", exif=exif())
    pictures = [
        server.post("/explain", each, accept="image/png", view="picture", **IG) for each in (upright, on_its_side)
    ]
    assert pictures[0].content == pictures[1].content


def png_bomb() -> bytes:
    """A PNG of 5,000 x 5,000 pixels whose text unpacks to 1 GB."""
    text = PngInfo()
    text.add(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(2**28), 9))
    return saved(np.zeros((2, 2, 3), np.uint8), pnginfo=text)


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: saved(noise(0)[:1, :1]), "all its pixels are alike"),
        (lambda: saved(Image.new("L", (12_000, 12_000))), "12000"),
        (lambda: b"", "not a readable image"),
        (lambda: b"no picture, but a text named .png\n" * 100, "not a readable image"),
        (lambda: saved(np.zeros((64, 64, 3), np.uint8)), "all its pixels are alike"),
        (lambda: saved(noise(0))[:1000], "not a readable image"),
        (lambda: saved(noise(0)[:32]), "must be square"),
        (png_bomb, ""),
        (lambda: b"PK\x03\x04" + bytes(1000), "not a readable image"),
    ],
    ids=["1 x 1", "12000 x 12000", "0 bytes", "text", "black", "cut", "not square", "bomb", "zip"],
)
def test_a_picture_that_cannot_be_used_is_refused(server, make, reason):
    answer = server.post("/predict", make(), model="metallicity")
    assert answer.status_code == 422, answer.text
    assert reason in answer.json()["detail"] and "/proc" not in answer.text


def test_alerts_and_candidates_that_cannot_be_used_are_refused(server, packet, chunk, star):
    for model, file, item, reason in (
        ("realbogus", packet[: len(packet) // 2], 0, "corrupt"),
        ("realbogus", star, 0, "not Avro"),
        ("realbogus", packet, 1, "cutoutTemplate: no pixel is finite"),
        ("realbogus", packet, 2, "the file has 2 object(s)"),
        ("realbogus", tar({"a.avro": packet})[:700], 0, ""),
        ("supernovae-cap", chunk, 0, "row 0: science stamp has no good pixel"),
        ("supernovae-cap", chunk[:500], 0, "not a whole .npz file"),
        ("supernovae-cap", b"\x80\x02c__builtin__\neval\n", 0, "not a whole .npz file"),
        ("periodic", packet, 0, ""),
        ("periodic", b"1,2,x,4\n1,3,4,5\n", 0, "line 1: not a number: 'x'"),
        ("periodic", b"", 0, ""),
    ):
        answer = server.post("/predict", file, model=model, item=item)
        assert answer.status_code == 422 and reason in answer.json()["detail"], answer.text


def tar(files: dict[str, bytes]) -> bytes:
    """Return a tar of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip of files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def test_a_tar_of_packets_holds_all_their_alerts(server, packet):
    archive = tar({"a.avro": packet, "b.avro": packet})
    alone = server.post("/predict", packet, model="realbogus").json()
    third = server.post("/predict", archive, model="realbogus", item=2).json()
    assert third["items"] == 4 and third["about"] == {"candid": "1", "objectid": "ZTF1"}
    assert third["prediction"] == alone["prediction"]


def batch(server: Server, files: dict[str, bytes], accept: str, **fields: object) -> httpx.Response:
    """Send many uploads."""
    uploads = [("files", (name, content)) for name, content in files.items()]
    return httpx.post(f"{server.url}/batch", files=uploads, data=fields, headers={"Accept": accept}, timeout=120)


def test_a_batch_is_a_table(server, chunk):
    files = {"a.png": saved(noise(0)), "=b.png": b"no picture", "c.zip": zipped({"d.png": saved(noise(1)), "e": b""})}
    answer = batch(server, files, "text/csv", model="metallicity")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["file"] for row in rows] == ["a.png", "'=b.png", "c.zip/d.png", "c.zip/e"]
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    single = server.post("/predict", saved(noise(1)), model="metallicity").json()["prediction"]
    assert float(rows[2]["low"]) == pytest.approx(single["probabilities"]["low"], rel=1e-5)
    rows = list(csv.DictReader(io.StringIO(batch(server, {"x": chunk}, "*/*", model="supernovae-cap").text)))
    assert [int(row["item"]) for row in rows] == list(range(70))
    assert [int(row["item"]) for row in rows if row["error"]] == [0, 3]


def test_a_batch_is_an_archive_of_maps(server):
    files = {"a.png": saved(noise(0)), "a.PNG": saved(noise(1)), "bad": b""}
    answer = batch(server, files, "application/zip", **IG)
    again = batch(server, files, "application/zip", **IG)
    assert answer.content == again.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == [f"maps/{name}.{kind}" for name in ("a.png", "a.PNG_2") for kind in ("png", "npy")] + [
            "results.csv"
        ]
        rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
        npy = archive.read("maps/a.PNG_2.npy")
    assert [row["map"] for row in rows] == ["a.png", "a.PNG_2", ""] and rows[2]["error"]
    assert npy == server.post("/explain", saved(noise(1)), accept="application/x-npy", **IG).content
    assert abs(float(rows[0]["completeness_gap"])) < 1


def test_a_batch_of_bombs_is_rows_of_reasons(server):
    bomb = zipped({"zeros": bytes(100 * 2**20), "d.png": saved(noise(0))})
    many = zipped({str(number): b"" for number in range(1001)})
    damaged = bytearray(zipped({"d.png": saved(noise(0))}))
    damaged[60] ^= 1
    answer = batch(
        server,
        {"b.zip": bomb, "m.zip": many, "d.zip": bytes(damaged), "c.zip": many[:900]},
        "text/csv",
        model="metallicity",
    )
    rows = {row["file"]: row["error"] for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows["b.zip/zeros"] == f"unpacks to more than {20 * 2**20} bytes" and rows["b.zip/d.png"] == ""
    assert rows["m.zip"] == "archive of more than 1000 files" and "cannot be unpacked" in rows["d.zip/d.png"]
    assert "not a whole archive" in rows["c.zip"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server):
    def zeros():
        yield form(model="metallicity").removesuffix(b"\r\n--x--\r\n")
        for _ in range(200):
            yield bytes(2**20)

    def send(**headers: str) -> httpx.Response:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        return httpx.post(f"{server.url}/predict", content=zeros(), headers=kind | headers, timeout=60)

    before = memory(server)
    size = sum(map(len, zeros()))
    declared = send(**{"Content-Length": str(size)})
    assert declared.status_code == 413 and declared.json()["detail"] == "the body is larger than 20 MiB"
    with contextlib.suppress(httpx.TransportError):  # the server may close the connection while this still sends
        assert send().status_code == 413
    assert memory(server) < before + 100 * 2**20
    assert httpx.get(f"{server.url}/health").status_code == 200


def memory(server: Server) -> int:
    """Return the resident memory of the server in bytes."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_no_file_is_kept(server):
    large = saved(noise(5, 1600), compress_level=0)  # more than the part of an upload that stays in memory
    assert len(large) > 5 * 2**20 and server.post("/predict", large, model="metallicity").status_code == 200
    assert [path for path in server.spool.iterdir() if "autograph" not in path.name] == []  # TensorFlow keeps its code


def test_health_answers_while_fifty_explanations_run(server):
    waits, done = [], threading.Event()

    def watch() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                start = time.perf_counter()
                assert client.get(f"{server.url}/health").status_code == 200
                waits.append(time.perf_counter() - start)
                time.sleep(0.02)

    watching = threading.Thread(target=watch)
    with ThreadPoolExecutor(50) as clients:
        asked = [clients.submit(server.post, "/explain", saved(noise(100 + n)), **IG, steps=200) for n in range(50)]
        watching.start()
        assert [each.result().status_code for each in asked] == [200] * 50
    done.set()
    watching.join()
    assert len(waits) > 10 and np.quantile(waits, 0.95) < 0.1, np.quantile(waits, [0.5, 0.95, 1])


def test_a_hundred_uploads_at_once_are_answered_or_sent_away(server):
    file = saved(noise(6, 400), compress_level=0)
    before = memory(server)
    with ThreadPoolExecutor(100) as clients:
        asked = [clients.submit(server.post, "/explain", file, **NOISY, seed=n) for n in range(100)]
        answers = [each.result() for each in asked]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 64
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "5" and "places" in answer.json()["detail"]
    assert memory(server) < before + 400 * 2**20 and server.count("skylight_queue_length") == 0


def test_two_models_at_once_answer_as_they_do_alone(server, star, packet):
    requests = [("periodic", star), ("realbogus", packet), ("metallicity", saved(noise(7))), ("braai", packet)]
    archive = tar({"a.avro": packet})
    others = [star + b"\n", archive, saved(noise(7), compress_level=1), archive]  # the same objects, not in the cache

    def ask(model: str, file: bytes, seed: int) -> httpx.Response:
        return server.post("/explain", file, model=model, method="smoothgrad", steps=10, seed=seed)

    with ThreadPoolExecutor(8) as clients:
        together = [clients.submit(ask, *requests[n % 4], n // 4).result for n in range(16)]
    alone = [ask(requests[n % 4][0], others[n % 4], n // 4) for n in range(16)]
    for one, each in zip(alone, together, strict=True):
        assert one.status_code == 200 and one.content == each().content
    assert len({one.content for one in alone}) == 16


def form(**fields: object) -> bytes:
    """Return a form with the boundary ``x``, as bytes of HTTP."""
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return parts.encode() + file + saved(noise(8)) + b"\r\n--x--\r\n"


def until(condition, seconds: float = 60) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_work_of_a_client_that_hangs_up_is_not_done(server):
    gone, port = server.count("skylight_clients_gone_total"), int(server.url.rpartition(":")[2])
    sockets = []
    for seed in range(1000, 1060):
        body = form(**NOISY | {"steps": 200}, seed=seed)
        head = "POST /explain HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        sockets.append(socket.create_connection(("127.0.0.1", port)))
        sockets[-1].sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    until(lambda: server.count("skylight_queue_length") >= 5)
    for each in sockets:
        each.close()
    until(lambda: server.count("skylight_queue_length") == 0)
    assert server.count("skylight_clients_gone_total") >= gone + 1


def test_half_an_upload_is_no_work(server):
    for part in (b"POST /explain HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", b"POST", b"\0\xff" * 100):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
            client.sendall(part)
    assert httpx.get(f"{server.url}/health").status_code == 200 and server.count("skylight_queue_length") == 0


def test_metrics_count_requests_by_route(server):
    httpx.get(f"{server.url}/somebody's/name")
    text = httpx.get(f"{server.url}/metrics").text
    assert 'skylight_requests_total{path="/predict",status="200"}' in text and "somebody" not in text
    assert 'skylight_requests_total{path="other",status="404"}' in text
    assert 'skylight_request_seconds_count{path="/explain"}' in text


@pytest.mark.slow
def test_sigterm_finishes_the_work_and_sends_the_others_away(folder, tmp_path):
    with running(folder, tmp_path) as own:
        with ThreadPoolExecutor(60) as clients:
            own.post("/explain", saved(noise(0)), **IG, steps=200)  # loaded and compiled
            asked = [clients.submit(own.post, "/explain", saved(noise(n)), **IG, steps=200) for n in range(1, 61)]
            until(lambda: own.count("skylight_queue_length") >= 5)
            time.sleep(2)  # the connections of all clients are accepted; most of the work still waits
            own.process.send_signal(signal.SIGTERM)
            outcomes = []
            for each in asked:
                with contextlib.suppress(httpx.ConnectError):  # it came too late
                    outcomes.append(each.result())
        statuses = [answer.status_code for answer in outcomes]
        assert set(statuses) == {200, 503} and len(statuses) >= 5
        stopped = next(answer for answer in outcomes if answer.status_code == 503)
        assert stopped.json()["detail"] == "the service stops" and stopped.headers["retry-after"] == "30"
        assert own.process.wait(30) in (0, -signal.SIGTERM, 143)


@pytest.fixture
def client(folder, monkeypatch):
    """Make a client of a service without a server, whose decoders and networks are not started."""
    monkeypatch.chdir(folder)
    return lambda **settings: TestClient(app.create(Settings(**settings)), raise_server_exceptions=False)


def test_a_token_is_asked_for(client):
    guarded = client(token="secret")
    assert guarded.get("/health").status_code == 200 and guarded.get("/ready").status_code == 503
    for headers in ({}, {"Authorization": "Bearer Secret"}, {"Authorization": "secret"}, {"Authorization": "Bearer "}):
        refused = guarded.get("/models", headers=headers)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert guarded.post("/predict", headers=headers).status_code == 401
    assert guarded.get("/models", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_web_pages_of_other_origins_are_refused_unless_named(client):
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-origin" not in client().get("/health", headers=asked).headers
    allowed = client(origins=("https://a.example",), token="secret").options("/models", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"


def test_a_full_queue_sends_away(client):
    full = client(places=0)
    for path in ("/predict", "/explain"):
        answer = full.post(path, files={"file": saved(noise(0))}, data={"model": "metallicity"})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    answer = full.post("/batch", files={"files": saved(noise(0))}, data={"model": "metallicity"})
    assert answer.status_code == 503 and answer.json()["detail"] == "all 0 places of the queue are taken"


def test_an_error_of_the_service_shows_nothing_of_it(client, monkeypatch):
    broken = client()
    monkeypatch.setattr(app.answers, "described", lambda network: 1 / 0)
    answer = broken.get("/models")
    assert answer.status_code == 500 and "division" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_that_takes_too_long_is_ended():
    async def late() -> None:
        async with Work(1).place(0.01):
            await asyncio.sleep(5)

    with pytest.raises(app.HTTPException) as ended:
        asyncio.run(late())
    assert ended.value.status_code == 503 and ended.value.detail == "no answer within 0.01 s"
