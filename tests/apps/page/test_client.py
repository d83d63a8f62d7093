"""Failures of the service as sentences, from a server on the loopback that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.page.client import File, Service, ServiceError, of_environment
from tests.servers import free_port

STAR = File("star.csv", b"1,2,3", 4)


class Told(ThreadingHTTPServer):
    """A server with one answer, which keeps the last request."""

    status, headers, body = 200, {}, b"{}"
    asked: dict

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers every request alike."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked = {"path": self.path, "headers": self.headers, "body": self.rfile.read(length)}
        self.send_response(self.server.status)
        for name, value in {"Content-Length": str(len(self.server.body)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = answer

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def told() -> Iterator[Told]:
    server = Told(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def failure(told: Told, status: int, body: bytes, **headers: str) -> str:
    """Return the sentence for an answer."""
    told.status, told.body, told.headers = status, body, {name.replace("_", "-"): headers[name] for name in headers}
    with pytest.raises(ServiceError) as error:
        Service(told.url).predict("periodic", STAR)
    return str(error.value)


def problem(detail: str) -> bytes:
    """Return problem details (RFC 9457)."""
    return json.dumps({"type": "about:blank", "title": "t", "status": 422, "detail": detail}).encode()


def test_the_reason_of_a_problem_is_the_sentence(told):
    assert failure(told, 422, problem("not a picture")) == "Not a picture."
    assert failure(told, 413, problem("the body is larger than 20 MB.")) == "The body is larger than 20 MB."


def test_a_full_queue_says_when_to_come_again(told):
    assert failure(told, 503, problem("the queue is full"), Retry_After="5") == ("The queue is full. Try again in 5 s.")


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"", b'{"error": 1}'])
def test_an_error_without_a_reason_says_its_status(told, body):
    assert failure(told, 502, body) == "The service answered with status 502."


def test_a_redirect_is_no_answer(told):
    assert failure(told, 302, b"", Location="http://127.0.0.1:1/") == "The service answered with status 302."


def test_a_service_that_is_down():
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServiceError) as error:
        Service(address).models()
    assert str(error.value) == (
        f"The service at {address} does not answer. Start it with `make app`, then load this page again."
    )


@pytest.mark.parametrize("address", ["nowhere", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_address_that_is_none(address):
    with pytest.raises(ServiceError, match="does not answer"):
        Service(address).models()


def test_a_request_has_the_fields_of_the_form_and_the_token(told):
    Service(told.url, "secret").explain("periodic", STAR, {"method": "lrp", "opacity": 0.5})
    body = told.asked["body"]
    for name, value in {"model": "periodic", "item": "4", "method": "lrp", "opacity": "0.5"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body
    assert b'filename="star.csv"' in body and b"1,2,3" in body
    assert told.asked["headers"]["Authorization"] == "Bearer secret"
    assert told.asked["headers"]["Accept"] == "application/json"
    Service(told.url).values("periodic", STAR, {})
    assert told.asked["headers"]["Accept"] == "application/x-npy" and "Authorization" not in told.asked["headers"]


def test_files_do_not_go_through_a_proxy(told, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert Service(told.url).predict("periodic", STAR) == {}


def test_the_environment_says_where_the_service_is(monkeypatch):
    monkeypatch.delenv("SKYLIGHT_SERVICE", raising=False)
    monkeypatch.delenv("SKYLIGHT_TOKEN", raising=False)
    assert of_environment() == Service("http://127.0.0.1:8080", "")
    monkeypatch.setenv("SKYLIGHT_SERVICE", "http://service:8080/")
    monkeypatch.setenv("SKYLIGHT_TOKEN", "secret")
    assert of_environment() == Service("http://service:8080", "secret")
