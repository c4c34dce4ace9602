"""The way to KFP's API: address, credentials, time limits, and errors that say what to do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.addresses import check_address, refuse_credentials
from components.common.tracking.failures import hide_password
from pipelines.cluster.answers import check_answers, describe_stranger, read_answer
from pipelines.cluster.names import check_namespace

IN_CLUSTER = "http://ml-pipeline.{}.svc.cluster.local:8888"
# The kubelet writes it where a pod asks for a token with the audience of KFP.
TOKEN_FILE = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
UNAUTHORIZED, FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Run:
    """A run on the cluster."""

    run_id: str
    address: str


@dataclass
class Connection:
    """KFP's client, and whom it talks to."""

    client: Any
    page: str  # address of KFP's pages
    namespace: str  # of the runs; empty where the server knows one user only
    experiment: str
    refused: bool = False  # the server does not accept the credentials: trying again is no use
    _experiment_id: str = field(default="")

    def describe_run(self, run_id: str) -> Run:
        """Return a run with the address of its page."""
        return Run(run_id, f"{self.page}/#/runs/details/{run_id}")

    def check_id(self, made: str | None) -> str:
        """Return the id of what was made; raise DarkroomError if the server gave it none."""
        if not made:
            raise describe_stranger(self.page, "it made something without an id")
        return str(made)

    def find_experiment(self) -> str:
        """Return the id of the experiment, which is made if it is not there."""
        if not self._experiment_id:
            namespace = self.namespace or None
            try:
                made = self.client.create_experiment(self.experiment, namespace=namespace)
            except ValueError as error:  # kfp's client, of a name that several have
                raise DarkroomError(
                    f"{self.page}: {error} Give another with --experiment, or the --namespace"
                ) from None
            self._experiment_id = self.check_id(made.experiment_id)
        return self._experiment_id


def connect(
    host: str,
    namespace: str,
    experiment: str,
    token: str,
    limits: tuple[float, float] = (CONNECT_SECONDS, ANSWER_SECONDS),
) -> Connection:
    """Return a connection to KFP's API, after it has answered once.

    Args:
        host: address; empty inside a cluster.
        namespace: of the runs.
        experiment: that holds the runs.
        token: bearer token; empty: the pod's own, if there is one.
        limits: seconds until a connection stands, and until an answer comes.
    """
    if namespace:
        check_namespace(namespace)
    credentials = None
    token_file = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", TOKEN_FILE))
    if not host:
        if "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise DarkroomError(
                "no address of KFP: give --host, or set kubeflow.host or KFP_HOST, such as "
                "http://localhost:8080 after `kubectl port-forward -n kubeflow "
                "svc/ml-pipeline-ui 8080:80`"
            )
        host = IN_CLUSTER.format(os.environ.get("KFP_NAMESPACE", "kubeflow"))
    refuse_credentials(host, "the address of KFP", is_whole=True)
    if not host.startswith(("http://", "https://")):
        raise DarkroomError(f"{host}: the address of KFP must begin with http:// or https://")
    check_address(host, "the address of KFP")
    host = host.rstrip("/")
    if not token and token_file.is_file():
        token = _read_token(token_file)
        credentials = str(token_file)
    token = check_token(token)
    if not ask_health(host, token, limits):
        namespace = ""
    client = _create_client(host, namespace, "" if credentials else token, credentials)
    _limit_time(client, limits)
    check_answers(client, hide_password(host))
    return Connection(client, hide_password(host), namespace, experiment)


def ask_health(host: str, token: str, limits: tuple[float, float]) -> bool:
    """Ask the server how it is; return whether it keeps namespaces of several users apart."""
    request = urllib.request.Request(  # noqa: S310 - http or https, as was checked
        f"{host}/apis/v2beta1/healthz",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    name = hide_password(host)
    try:
        with urllib.request.urlopen(request, timeout=sum(limits)) as answer:  # noqa: S310
            data = answer.read()
    except urllib.error.HTTPError as error:
        raise _describe_status(name, error.code, error.reason) from None
    except TimeoutError:
        raise _describe_silence(name) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise _describe_silence(name) from None
        raise DarkroomError(
            f"KFP at {name} cannot be reached ({reason}); check the address, and that a "
            "port-forward, if it goes through one, still stands"
        ) from None
    return bool(read_answer(name, data).get("multi_user"))


def check_token(token: str) -> str:
    """Return a bearer token without white space around it; refuse what no header may hold."""
    token = token.strip()
    if not all("!" <= letter <= "~" for letter in token):
        raise DarkroomError(
            "the token for KFP (KFP_TOKEN, --token) has spaces, line breaks or letters that none "
            "has; copy it again, alone"
        )
    return token


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DarkroomError(
            f"{file}: the token for KFP cannot be read ({reason}); see KF_PIPELINES_SA_TOKEN_PATH, "
            "or set KFP_TOKEN"
        ) from None


@contextlib.contextmanager
def explain_failures(connection: Connection) -> Iterator[None]:
    """Turn what the server or the network says into one line that says what to do."""
    import urllib3
    from kfp_server_api import ApiException

    name = connection.page
    try:
        yield
    except ApiException as error:
        connection.refused = error.status in (UNAUTHORIZED, FORBIDDEN)
        raise _describe_status(name, error.status, describe_reason(error)) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        # A refused connection is a TimeoutError to urllib3, but nobody waited for it.
        is_refused = isinstance(reason, urllib3.exceptions.NewConnectionError)
        if isinstance(reason, urllib3.exceptions.TimeoutError) and not is_refused:
            raise _describe_silence(name) from None
        raise DarkroomError(
            f"KFP at {name} is no longer reached ({_last_words(reason)}); try again"
        ) from None


def _create_client(host: str, namespace: str, token: str, token_file: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kfp
        from kfp.client import ServiceAccountTokenVolumeCredentials

        credentials = ServiceAccountTokenVolumeCredentials(token_file) if token_file else None
        client = kfp.Client(
            host=host,
            # Any but the default keeps the constructor from asking the server, with no time limit.
            namespace=namespace if namespace not in ("", "kubeflow") else "-",
            existing_token=token or None,
            credentials=credentials,
        )
    client._context_setting["namespace"] = namespace  # and not what ~/.config/kfp says
    return client


def _limit_time(client: Any, limits: tuple[float, float]) -> None:
    """Give every request a time limit: kfp's client would wait for ever."""
    rest = client._run_api.api_client.rest_client
    send = rest.request

    def request(*args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or limits
        return send(*args, **kwargs)

    rest.request = request


def _describe_status(name: str, status: int, reason: str) -> DarkroomError:
    if status == UNAUTHORIZED:
        return DarkroomError(
            f"KFP at {name} does not accept the token ({reason}): it has expired, or is for "
            "another server; get a new one and set KFP_TOKEN"
        )
    if status == FORBIDDEN:
        return DarkroomError(
            f"KFP at {name} refuses this ({reason}); ask for rights in the namespace, or give "
            "another with --namespace"
        )
    return DarkroomError(f"KFP at {name} answered {status}: {reason}")


def _describe_silence(name: str) -> DarkroomError:
    return DarkroomError(
        f"KFP at {name} does not answer in time; look at its pods (`kubectl get pods -n kubeflow`)"
        ", then try again"
    )


def describe_reason(error: Any) -> str:
    """Return what the server says of its error, in a line."""
    try:
        found = json.loads(error.body)
        text = found.get("error_message") or found.get("message") or found.get("error") or ""
    except (TypeError, ValueError, AttributeError, RecursionError):
        text = ""
    return " ".join(str(text or error.reason).split())[:500]


def _last_words(reason: Any) -> str:
    return str(reason).rpartition(": ")[2] or str(reason)
