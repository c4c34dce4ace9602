"""A server that answers as KFP's v2beta1 REST API does, and remembers what it was asked."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API = "/apis/v2beta1"


@dataclass
class Kfp:
    """What the server holds, and how it is made to behave."""

    token: str = ""  # that a request must carry; empty: none
    multi_user: bool = False
    delay_seconds: float = 0.0
    states: list[str] = field(default_factory=lambda: ["RUNNING", "SUCCEEDED"])  # of a run, in turn
    fail_reads: int = 0  # the next so many looks at a run are answered with 503
    answers: list[dict[str, Any]] = field(default_factory=list)  # recorded, of a run, in turn
    logs: dict[str, Any] = field(default_factory=dict)  # what the call for a log answers
    runs: list[dict[str, Any]] = field(default_factory=list)  # that the experiment has
    versions: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)

    def bodies(self, method: str, path: str) -> list[Any]:
        """Return what was sent to an address."""
        return [body for how, where, body in self.asked if (how, where) == (method, path)]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Return status and answer of a request."""
        for (how, pattern), do in ROUTES.items():
            match = re.fullmatch(pattern, path)
            if how == method and match:
                return do(self, query, body, *match.groups())
        return 404, {"error": "Not Found", "code": 5, "message": f"Not Found {path}"}


def route(method: str, pattern: str) -> Callable[[Any], Any]:
    def add(do: Any) -> Any:
        ROUTES[method, pattern] = do
        return do

    return add


ROUTES: dict[tuple[str, str], Callable[..., tuple[int, Any]]] = {}


@route("GET", "/healthz")
def health(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    return 200, {"multi_user": kfp.multi_user}


@route("GET", "/experiments")
def list_experiments(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    (predicate,) = json.loads(query["filter"])["predicates"]
    name = predicate.get("string_value") or predicate.get("stringValue")
    found = [one for one in kfp.experiments if one["display_name"] == name]
    return 200, {"experiments": found} if found else {}


@route("POST", "/experiments")
def create_experiment(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    if body.get("namespace") and not kfp.multi_user:
        return 400, {"error": "namespace", "code": 3, "message": "single-user: no namespace"}
    kfp.experiments.append(body | {"experiment_id": f"e{len(kfp.experiments) + 1}"})
    return 200, kfp.experiments[-1]


@route("POST", "/runs")
def create_run(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    if "pipeline_spec" not in body:
        return 400, {"message": "Invalid input error: no pipeline"}
    return 200, {"run_id": "r1", "display_name": body["display_name"], "state": "PENDING"}


@route("GET", "/runs")
def list_runs(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    wanted = query.get("experiment_id") or query.get("namespace", "")
    names = ("experiment_id", "namespace")
    own = [one for one in kfp.runs if not wanted or wanted in map(one.get, names)]
    return 200, {"runs": own, "total_size": len(own)}


@route("POST", "/runs/(.+):retry")
def retry_run(kfp: Kfp, query: dict[str, str], body: Any, run_id: str) -> tuple[int, Any]:
    return 200, {}


@route("GET", "/runs/(.+)/nodes/(.+)/artifacts/main-logs:read")
def read_log(
    kfp: Kfp, query: dict[str, str], body: Any, run_id: str, node_id: str
) -> tuple[int, Any]:
    return (200, kfp.logs) if kfp.logs else (404, {"error_message": "no such artifact"})


@route("GET", "/runs/([^/]+)")
def get_run(kfp: Kfp, query: dict[str, str], body: Any, run_id: str) -> tuple[int, Any]:
    if kfp.fail_reads:
        kfp.fail_reads -= 1
        return 503, {"message": "the API server restarts"}
    if kfp.answers:
        return 200, kfp.answers.pop(0) if len(kfp.answers) > 1 else kfp.answers[0]
    state = kfp.states.pop(0) if len(kfp.states) > 1 else kfp.states[0]
    task = "FAILED" if state == "FAILED" else "SUCCEEDED" if state == "SUCCEEDED" else "RUNNING"
    details = [{"display_name": "validate", "state": task, "task_id": "t1"}]
    run = {"run_id": run_id, "state": state, "run_details": {"task_details": details}}
    if state == "FAILED":
        run["error"] = {"code": 2, "message": "task validate failed"}
    return 200, run


@route("POST", "/recurringruns")
def create_schedule(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    status = "ENABLED" if body["mode"] == "ENABLE" else "DISABLED"
    made = body | {"recurring_run_id": f"s{len(kfp.schedules) + 1}", "status": status}
    kfp.schedules.insert(0, made)
    return 200, made


@route("GET", "/recurringruns")
def list_schedules(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    own = [one for one in kfp.schedules if one["experiment_id"] == query["experiment_id"]]
    return 200, {"recurringRuns": own, "total_size": len(own)}


@route("POST", "/recurringruns/(.+):(enable|disable)")
def switch_schedule(
    kfp: Kfp, query: dict[str, str], body: Any, found: str, how: str
) -> tuple[int, Any]:
    (schedule,) = [one for one in kfp.schedules if one["recurring_run_id"] == found]
    schedule["status"] = f"{how.upper()}D"
    return 200, {}


@route("GET", "/pipelines")
def list_pipelines(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    (predicate,) = json.loads(query["filter"])["predicates"]
    name = predicate.get("string_value") or predicate.get("stringValue")
    where = query.get("namespace", "")  # without one the API lists those that all users share
    found = [
        one
        for one in kfp.pipelines
        if one["display_name"] == name and one.get("namespace", "") == where
    ]
    return 200, {"pipelines": found} if found else {}


@route("POST", "/pipelines/upload")
def upload_pipeline(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    name = query.get("display_name") or query["name"]
    made = {"pipeline_id": f"p{len(kfp.pipelines) + 1}", "display_name": name}
    if "namespace" in query:
        made["namespace"] = query["namespace"]
    kfp.pipelines.append(made)
    return 200, made


@route("POST", "/pipelines/upload_version")
def upload_version(kfp: Kfp, query: dict[str, str], body: Any) -> tuple[int, Any]:
    if (name := query.get("display_name") or query["name"]) in kfp.versions:
        # As the API server's answer reads where a name is taken.
        return 409, {"error_message": f"Failed to create a pipeline version: {name} exists"}
    kfp.versions.add(name)
    return 200, {
        "pipeline_id": query["pipelineid"],
        "pipeline_version_id": "v1",
        "display_name": query.get("display_name") or query["name"],
    }


def create_server(kfp: Kfp) -> ThreadingHTTPServer:
    """Return a running server on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def _do(self, method: str) -> None:
            address = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(address.query))
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = "json" in (self.headers.get("Content-Type") or "")
            body = json.loads(data) if data and is_json else data.decode(errors="replace")
            path = address.path.removeprefix(API)
            kfp.asked.append((method, path, body))
            time.sleep(kfp.delay_seconds)
            if kfp.token and self.headers.get("Authorization") != f"Bearer {kfp.token}":
                status, found = 401, {"message": "the token has expired"}
            else:
                status, found = kfp.answer(method, path, query, body)
            text = json.dumps(found).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except BrokenPipeError:
                pass  # who asked went away

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
