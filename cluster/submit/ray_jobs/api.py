"""Ray's Jobs API over HTTP: no `ray` is needed on the machine that submits.

The token is read from where Ray itself reads it, is sent in a header, and is never written anywhere.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from videoar.cluster.ground.credentials import MASK, refuse_credentials
from videoar.cluster.ground.errors import InputError, Stopped
from videoar.cluster.ground.fields.checks import short
from videoar.cluster.ground.process import variable
from videoar.cluster.ground.processes.surroundings import home, read_text

_ADDRESS = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+(/[A-Za-z0-9_./-]*)?")
_PATIENCE_S = 60.0


class _NoRedirects(HTTPRedirectHandler):
    """The token belongs to one address."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


OPENER = build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class RayApi:
    """The head of a Ray cluster."""

    address: str

    @staticmethod
    def at(address: str) -> RayApi:
        """The head at that address, or at RAY_ADDRESS; InputError for what is not the address of a dashboard."""
        address = address or variable("RAY_ADDRESS") or ""
        remedy = "give --dashboard http://HOST:8265, that of the dashboard of the cluster's head, or set RAY_ADDRESS"
        if not address:
            raise InputError("dashboard", "''", "is not given", remedy)
        refuse_credentials("dashboard", address)
        if not _ADDRESS.fullmatch(address):
            raise InputError("dashboard", short(repr(address)), "is not that of a dashboard", remedy)
        return RayApi(address.rstrip("/"))

    def ask(self, path: str, body: object = None, *, post: bool = False) -> Any:
        """What the API answers; None if it does not know the job. Stopped if it fails or cannot be reached."""
        headers = {"Content-Type": "application/json", **authorization()}
        data = json.dumps(body).encode() if body is not None else None
        request = Request(f"{self.address}/api/{path}", data, headers, method="POST" if post else "GET")
        try:
            with OPENER.open(request, timeout=_PATIENCE_S) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            if error.code == 404:
                return None
            raise self._refused(error) from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Stopped(
                f"{self.address} does not answer as Ray's dashboard does ({short(str(reason))}); give --dashboard "
                "http://HOST:8265 of a head that runs, as this machine reaches it"
            ) from error

    def _refused(self, error: HTTPError) -> InputError | Stopped:
        if error.code == 401:
            remedy = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the file that holds the token of its head"
            return InputError("RAY_AUTH_TOKEN", "''", f"is missing: {self.address} asks for a token", remedy)
        if error.code == 403:
            remedy = "set RAY_AUTH_TOKEN_PATH to the file that holds the token of its head"
            return InputError("RAY_AUTH_TOKEN", MASK, f"is refused by {self.address}", remedy)
        text = error.read(2000).decode(errors="replace").strip().splitlines()
        return Stopped(f"{self.address} refuses the request ({error.code} {text[-1] if text else error.reason})")


def authorization() -> dict[str, str]:
    """The header with the token; none unless RAY_AUTH_MODE is `token`, as in Ray."""
    if variable("RAY_AUTH_MODE") != "token":
        return {}
    return {"Authorization": f"Bearer {_token()}"}


def _token() -> str:
    """The token, in the order in which Ray looks: the variable, the file that it names, the file of the home folder."""
    if token := variable("RAY_AUTH_TOKEN"):
        return token.strip()
    named = variable("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else home() / ".ray/auth_token"
    remedy = "set RAY_AUTH_TOKEN_PATH to the file that holds the token of the cluster"
    if not path.is_file():
        raise InputError("RAY_AUTH_TOKEN_PATH", path, "is not a file", remedy)
    if not (token := read_text(path).strip()):
        raise InputError("RAY_AUTH_TOKEN_PATH", path, "is empty", remedy)
    return token
