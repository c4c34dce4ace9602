"""The addresses of the server, those of MLflow's and of KServe's V1 and V2; what each answers."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from components.common.errors import DarkroomError
from components.common.serving.batching import Answer
from components.predict.serve.bodies import Question, RefusedError, read_question
from components.predict.serve.champion import Champion, Loaded
from components.predict.serve.receiving import MB, Room, Share, receive
from components.predict.serve.requestlog import RequestLog, take_print
from components.predict.serve.tensors import create_outputs, describe_tensors
from components.predict.spec import Serve

PARSERS = 2  # requests that are being parsed at once: each takes three times its size meanwhile
Rows = list[dict[str, Any]]
Reply = Callable[[Question, Loaded, Rows], dict[str, Any]]
Handle = Callable[[Request], Awaitable[Response]]


class Service:
    """What answers, and within which limits."""

    def __init__(self, champion: Champion, settings: Serve, log: RequestLog | None = None) -> None:
        """Nothing is asked yet."""
        self.champion, self.settings, self._log = champion, settings, log
        self.room = Room(settings.max_waiting_mb * MB)
        self._parsers = ThreadPoolExecutor(PARSERS, thread_name_prefix="parse")

    async def ask(self, request: Request, share: Share) -> tuple[Question, Loaded, list[Answer]]:
        """Return what a request asks, who answers, and the answers.

        Raises:
            RefusedError: if nothing in it can be answered.
        """
        headers, limits = request.headers, self.settings
        body = await receive(request, share, limits)
        question = await asyncio.get_running_loop().run_in_executor(
            self._parsers,
            read_question,
            body,
            headers.get("content-type", ""),
            headers.get("inference-header-content-length"),
            limits.max_images,
        )
        del body
        loaded, coming = self.champion.ask(question.images)
        return question, loaded, list(await asyncio.gather(*map(asyncio.wrap_future, coming)))

    async def answer(self, request: Request, reply: Reply) -> Response:
        """Return the response to a request, in the form of its protocol."""
        if (name := request.path_params.get("name")) is not None:
            self.check_name(name, request.path_params.get("version"))
        with self.room.holding() as share:
            question, loaded, answers = await self.ask(request, share)
            rows = [loaded.describe(one) for one in answers]
            response = JSONResponse(reply(question, loaded, rows), headers=name_model(loaded))
            if self._log:
                # Of the images only their digests wait for the log.
                prints = [take_print(image) for image in question.images]
                asked = list(zip(prints, answers, strict=True))
                response.background = BackgroundTask(self._log.write, loaded, asked)
            return response

    def check_name(self, name: str, version: str | None = None) -> None:
        """Raise RefusedError if an address names another model, or another version."""
        current = self.champion.current
        if name != current.name:
            raise RefusedError(404, f"no such model here; there is {current.name}")
        if version and version != current.version:
            raise RefusedError(404, f"version {current.version} serves, no other")


def create_app(service: Service, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application: routes of MLflow's server, of KServe's V1 and of V2.

    Args:
        service: what answers.
        more: routes beside these, such as the page for people.
    """
    mlflow, v1, v2 = (
        catch(partial(service.answer, reply=reply))
        for reply in (_reply_plainly, _reply_plainly, _reply_in_tensors)
    )
    info = _Information(service)
    routes: list[BaseRoute] = [
        *more,
        Route("/invocations", mlflow, methods=["POST"]),
        Route("/v1/models/{name}:predict", v1, methods=["POST"]),
        Route("/v2/models/{name}/infer", v2, methods=["POST"]),
        Route("/v2/models/{name}/versions/{version}/infer", v2, methods=["POST"]),
        *(Route(path, _say_ready) for path in ("/ping", "/health", "/v2/health/live")),
        Route("/v2/health/ready", _say_ready),
        Route("/version", info.describe_server),
        Route("/v2", info.describe_server),
        Route("/v1/models", info.list_models),
        Route("/", info.tell_person),  # unless the page for people is there
        *(Route(f"/v1/models/{{name}}{end}", catch(info.describe_v1)) for end in ("", "/")),
        Route("/v2/models/{name}", catch(info.describe_v2)),
        Route("/v2/models/{name}/ready", catch(info.describe_v1)),
        Route("/v2/models/{name}/versions/{version}/ready", catch(info.describe_v1)),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _tell_http})


def _reply_plainly(question: Question, loaded: Loaded, rows: Rows) -> dict[str, Any]:
    """Return the reply of MLflow and of KServe's V1: a row an image."""
    return {"predictions": rows, "model_name": loaded.name, "model_version": loaded.version}


def _reply_in_tensors(question: Question, loaded: Loaded, rows: Rows) -> dict[str, Any]:
    outputs = create_outputs(rows, loaded.class_names, question.outputs)
    reply = {"model_name": loaded.name, "model_version": loaded.version, "outputs": outputs}
    return reply | ({"id": question.id} if question.id else {})


class _Information:
    """What the server says of itself and of its model."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def describe_server(self, request: Request) -> Response:
        state = self._service.champion.state
        return JSONResponse(
            {
                "name": "darkroom",
                "version": "1",
                "extensions": ["binary_tensor_data"],
                "model_version": state.version,
                "loads": state.loads,
                "checked_images": state.checked_images,
                "refused": state.refused,
            }
        )

    async def tell_person(self, request: Request) -> Response:
        """Say in words what is here, to who opens the address in a browser."""
        loaded = self._service.champion.current
        version = f", version {loaded.version}," if loaded.version else ""
        return PlainTextResponse(
            f"{loaded.name}{version} answers programs here; docs/serving.md says how they ask.\n\n"
            "A photo:            curl …/invocations -H 'Content-Type: image/jpeg' --data-binary "
            "@photo.jpg\n"
            "A page for people:  python -m components.predict page --model …\n",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    async def list_models(self, request: Request) -> Response:
        return JSONResponse({"models": [self._service.champion.current.name]})

    async def describe_v1(self, request: Request) -> Response:
        service, loaded = self._service, self._service.champion.current
        service.check_name(request.path_params["name"], request.path_params.get("version"))
        # `ready` is a text in KServe's V1 and a truth in V2; clients of V2 go by the status.
        found = {"name": loaded.name, "ready": True, "version": loaded.version}
        return JSONResponse(found, headers=name_model(loaded))

    async def describe_v2(self, request: Request) -> Response:
        loaded = self._service.champion.current
        self._service.check_name(request.path_params["name"])
        found: dict[str, Any] = {"name": loaded.name, "versions": [loaded.version]}
        found |= {"platform": "keras"} | describe_tensors(len(loaded.class_names))
        return JSONResponse(found, headers=name_model(loaded))


async def _say_ready(request: Request) -> Response:
    return JSONResponse({"live": True, "ready": True})


def name_model(loaded: Loaded) -> dict[str, str]:
    """Return the headers that say which version answered."""
    # A header holds Latin letters alone.
    name = loaded.name.encode("ascii", "backslashreplace").decode()
    return {"X-Model-Name": name, "X-Model-Version": loaded.version}


def catch(handle: Handle) -> Handle:
    """Turn what goes wrong into an answer that says no more than a client may know."""

    async def catching(request: Request) -> Response:
        try:
            return await handle(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except RefusedError as error:
            return _tell(error.status, str(error))
        except DarkroomError as error:
            return _tell(400, str(error))
        except Exception:  # the log gets the place, the client no object of ours
            place = traceback.extract_tb(sys.exc_info()[2])[-1]
            kind = (sys.exc_info()[0] or Exception).__name__
            print(f"  failed: {kind} at {place.name}:{place.lineno}", file=sys.stderr, flush=True)
            return _tell(500, "the server failed; its log says where")

    return catching


def _tell(status: int, message: str) -> Response:
    """Return a refusal as clients of MLflow (`message`) and of KServe (`error`) look for it."""
    code = {400: "BAD_REQUEST", 404: "RESOURCE_DOES_NOT_EXIST"}.get(status, f"HTTP_{status}")
    headers = {"Retry-After": "1"} if status == 503 else {}
    if status in (408, 413, 503):  # what is left of the request is not waited for
        headers["Connection"] = "close"
    content = {"error_code": code, "message": message, "error": message}
    return JSONResponse(content, status_code=status, headers=headers)


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _tell(error.status_code, error.detail)
