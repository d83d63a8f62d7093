"""The service, as the page sees it: one method for each request, and every failure as a sentence for people."""

import os
from dataclasses import dataclass

import httpx

SERVICE = "http://127.0.0.1:8080"
SECONDS = httpx.Timeout(5, read=150, write=60)
"""Limits of one request. The service has its own limit, which is shorter."""


class ServiceError(Exception):
    """The service has no answer; the message is a sentence that says why."""


@dataclass(frozen=True)
class File:
    """A file, and the number of the object in it that is meant."""

    name: str
    content: bytes
    item: int = 0


@dataclass(frozen=True)
class Service:
    """The service at an address.

    Attributes
    ----------
    address : str
    token : str
        Sent with every request, if it is not empty.
    """

    address: str = SERVICE
    token: str = ""

    def models(self) -> list[dict]:
        """Return what the service says about every network."""
        return self._ask("GET", "/models").json()["models"]

    def examples(self, model: str) -> list[dict]:
        """Return the names of files to try a network with, and what they are."""
        return self._ask("GET", f"/models/{model}/examples").json()

    def example(self, model: str, name: str) -> bytes:
        """Return one of these files."""
        return self._ask("GET", f"/models/{model}/examples/{name}").content

    def trust(self, model: str, method: str, score: str) -> dict:
        """Return what the chapter of a network has measured of a method: the rows of its scorecard."""
        return self._ask("GET", f"/models/{model}/trust", params={"method": method, "score": score}).json()

    def predict(self, model: str, file: File) -> dict:
        """Return the answer of a network to an object."""
        return self._post("/predict", model, file, {}).json()

    def explain(self, model: str, file: File, asked: dict) -> dict:
        """Return the answer of a network to an object, with its explanation and the pictures of it."""
        return self._post("/explain", model, file, asked).json()

    def values(self, model: str, file: File, asked: dict) -> bytes:
        """Return the map of an explanation as a ``.npy`` file."""
        return self._post("/explain", model, file, asked, accept="application/x-npy").content

    def _post(self, path: str, model: str, file: File, asked: dict, accept: str = "application/json") -> httpx.Response:
        fields = {"model": model, "item": file.item, **asked}
        return self._ask("POST", path, {"Accept": accept}, files={"file": (file.name, file.content)}, data=fields)

    def _ask(self, verb: str, path: str, headers: dict[str, str] | None = None, **request) -> httpx.Response:
        headers = (headers or {}) | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        try:
            # trust_env: a proxy is for other machines, and would see the files
            response = httpx.request(
                verb, self.address + path, headers=headers, timeout=SECONDS, trust_env=False, **request
            )
        except httpx.TimeoutException:
            raise ServiceError(f"The service at {self.address} did not answer in time. Try again later.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ServiceError(
                f"The service at {self.address} does not answer. Start it with `make app`, then load this page again."
            ) from None
        if not response.is_success:
            raise ServiceError(reason(response))
        return response


def of_environment() -> Service:
    """Return the service that ``SKYLIGHT_SERVICE`` and ``SKYLIGHT_TOKEN`` name."""
    return Service(os.environ.get("SKYLIGHT_SERVICE", SERVICE).rstrip("/"), os.environ.get("SKYLIGHT_TOKEN", ""))


def reason(response: httpx.Response) -> str:
    """Return why a request failed: the detail of its problem (RFC 9457), or its status."""
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the service answered with status {response.status_code}"
    sentence = f"{detail[:1].upper()}{detail[1:].rstrip('.')}."
    wait = response.headers.get("Retry-After", "")
    return f"{sentence} Try again in {wait} s." if wait.isdecimal() else sentence
