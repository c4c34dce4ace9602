"""What clients of MLflow and KServe send, to a real server process: good, bad, hostile, at once."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import shlex
import struct
import subprocess
import time
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.serving.classifier import Classifier
from tests.predict.conftest import CLASSES
from tests.predict.serve.conftest import LIMITS, ROOT, Server

pytestmark = pytest.mark.e2e
V1, V2 = "/v1/models/darkroom:predict", "/v2/models/darkroom/infer"


def encode(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


@cache
def load(model: Path) -> Classifier:
    return Classifier(model)


def compute(model: Path, files: list[Path]) -> np.ndarray:
    """Return the probabilities of a model file, asked here: (images, classes)."""
    return load(model).classify(files).probabilities


def expect(model: Path, files: list[Path], rows: list[dict[str, Any]]) -> None:
    """Compare answers with those of the model file, asked here."""
    for row, answer in zip(compute(model, files), rows, strict=True):
        assert list(answer) == ["label", "probability", "unsure", "probabilities", "reason"]
        assert answer["label"] == CLASSES[int(row.argmax())]
        assert answer["probability"] == pytest.approx(row.max(), abs=1e-5)
        assert answer["unsure"] is bool(row.max() < 0.45)
        assert [answer["probabilities"][name] for name in CLASSES] == pytest.approx(row, abs=1e-5)
        assert answer["reason"] is None


def expect_next_is_answered(server: Server, picture: Path) -> None:
    status, found = server.post("/invocations", picture.read_bytes(), "image/png")
    assert (status, found["predictions"][0]["reason"]) == (200, None)


def test_every_form_of_a_json_body(server: Server, pictures: list[Path]) -> None:
    a, b = map(encode, pictures[:2])
    url = base64.urlsafe_b64encode(pictures[0].read_bytes()).decode().rstrip("=")
    lines = base64.encodebytes(pictures[1].read_bytes()).decode()  # as MLflow's client breaks them
    forms: list[dict[str, Any]] = [
        {"dataframe_records": [{"image": a}, {"image": b}]},
        {"dataframe_records": [{"id": 1, "image": url}, {"image": lines, "id": None}]},
        {"dataframe_split": {"columns": ["image"], "index": [0, 1], "data": [[a], [b]]}},
        {"dataframe_split": {"columns": ["id", "image"], "data": [[1, a], [2, b]]}},
        {"inputs": {"image": [a, b]}},
        {"inputs": [{"image": a}, {"image": b}], "params": {}},
        {"inputs": [a, b]},
        {"instances": [{"image": a}, {"image": b}]},
        {"instances": {"image": [a, b]}},
        {"instances": [{"b64": a}, {"b64": b}]},
        # As KServe's documentation publishes them for TensorFlow and for TorchServe.
        {"instances": [{"image_bytes": {"b64": a}, "key": "1"}, {"data": b, "target": 0}]},
        {"instances": [f"data:image/png;base64,{a}", {"image": f"DATA:;base64,{b}"}]},
    ]
    for path in ("/invocations", V1):
        for form in forms:
            status, found = server.post(path, form)
            assert status == 200, (form.keys(), found)
            assert (found["model_name"], found["model_version"]) == ("darkroom", "1")
            expect(server.models[0], pictures[:2], found["predictions"])


def test_csv_is_answered_as_json_is(server: Server, pictures: list[Path]) -> None:
    table = pd.DataFrame({"image": [encode(file) for file in pictures[:2]]}).to_csv(index=False)
    for path, kind in (("/invocations", "text/csv"), (V1, "text/csv; charset=utf-8")):
        status, found = server.post(path, table.encode(), kind)
        assert status == 200
        expect(server.models[0], pictures[:2], found["predictions"])


def test_pictures_themselves(server: Server, pictures: list[Path]) -> None:
    data = pictures[0].read_bytes()
    for path in ("/invocations", V1):
        for kind in ("image/png", "image/jpeg", "application/octet-stream", None):
            status, found = server.post(path, data, kind)
            assert status == 200
            expect(server.models[0], pictures[:1], found["predictions"])


def test_open_inference_protocol(server: Server, pictures: list[Path]) -> None:
    files = pictures[:3]
    tensor: dict[str, Any] = {"name": "image", "shape": [3], "datatype": "BYTES"}
    asked = {"id": "42", "inputs": [tensor | {"data": [encode(file) for file in files]}]}
    raw = b"".join(struct.pack("<I", len(d := file.read_bytes())) + d for file in files)
    head = {"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]}
    text = json.dumps(head).encode()
    length = {"Inference_Header_Content_Length": str(len(text))}
    offline = compute(server.models[0], files)
    for status, found in (
        server.post(V2, asked),
        server.post("/v2/models/darkroom/versions/1/infer", asked),
        server.post(V2, text + raw, "application/octet-stream", **length),
    ):
        assert status == 200, found
        outputs = {one["name"]: one for one in found["outputs"]}
        assert found["model_version"] == "1"
        assert outputs["probabilities"]["shape"] == [3, 3]
        rows = np.reshape(outputs["probabilities"]["data"], (3, 3))
        assert np.abs(rows - offline).max() <= 1e-5
        assert outputs["label"]["data"] == [CLASSES[i] for i in offline.argmax(axis=1)]
    assert server.post(V2, asked)[1]["id"] == "42"
    chosen = asked | {"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}
    assert [one["name"] for one in server.post(V2, chosen)[1]["outputs"]] == ["label"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/darkroom/ready", "/ping"):
        assert server.get(path)
    with urllib.request.urlopen(f"{server.address}/", timeout=60) as answer:  # as a person does
        assert answer.headers.get_content_type() == "text/plain"
        assert "darkroom, version 1, answers programs" in (words := answer.read().decode())
        assert "python -m components.predict page --model" in words
    assert server.get("/v2/models/darkroom")["inputs"][0]["datatype"] == "BYTES"
    assert server.get("/v1/models/darkroom")["ready"] is True


def test_clients_as_they_are(server: Server, pictures: list[Path]) -> None:
    """MLflow's own client, and the lines of the documentation as a person copies them."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = server.address.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))
    table = pd.DataFrame({"image": [encode(file) for file in pictures[:2]]})
    found = client.invoke(table).get_predictions()
    best = compute(server.models[0], pictures[:2]).argmax(axis=1)
    assert list(found["label"]) == [CLASSES[index] for index in best]
    docs = (ROOT / "docs/serving.md").read_text()
    lines = re.findall(r"```sh\n(curl .*?)```", docs, re.S)
    assert len(lines) >= 2
    for text in lines:
        line = text.replace("localhost:8080", server.address.removeprefix("http://"))
        line = line.replace("photo.jpg", shlex.quote(str(pictures[0])))
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
        expect(server.models[0], pictures[:1], json.loads(done.stdout)["predictions"])


def test_a_bad_image_answers_its_own_row(server: Server, pictures: list[Path]) -> None:
    good = encode(pictures[0])
    bad: dict[str, Any] = {
        "not an image": base64.b64encode(b"junk, no image").decode(),
        "neither": "no base64 at all!",
        "a number": 7,
        "null": None,
        "an address": "https://example.org/cat.jpg",
    }
    records = [{"image": good}, *({"image": one} for one in bad.values())]
    for path in ("/invocations", V1):
        status, found = server.post(path, {"dataframe_records": records})
        first, *rest = found["predictions"]
        assert status == 200
        expect(server.models[0], pictures[:1], [first])
        for words, row in zip(bad, rest, strict=True):
            assert words in row["reason"]
            assert row["label"] is row["probability"] is row["probabilities"] is None
        assert not re.search(r"0x[0-9a-f]{6}|junk|example|at all", json.dumps(found))
    tensor = {"name": "x", "shape": [2], "datatype": "BYTES", "data": [good, "!"]}
    outputs = {
        one["name"]: one["data"] for one in server.post(V2, {"inputs": [tensor]})[1]["outputs"]
    }
    assert [bool(reason) for reason in outputs["reason"]] == [False, True]
    assert (outputs["label"][1], outputs["probability"][1]) == ("", 0)


SECRET = "c2VjcmV0"
REFUSED: list[tuple[str, bytes, str, int, str]] = [
    ("/invocations", b"", "application/json", 400, "empty"),
    ("/invocations", b'{"secret": ["c2VjcmV0"]}', "application/json", 400, "no known form"),
    ("/invocations", b'{"inputs": ["c2VjcmV0"', "application/json", 400, "not JSON in UTF-8"),
    ("/invocations", b"\xff\xfec2VjcmV0", "application/json", 400, "not JSON in UTF-8"),
    ("/invocations", b'["c2VjcmV0"]', "application/json", 400, "no object"),
    ("/invocations", b'{"inputs":["a"],"instances":["a"]}', "text/json", 400, "several forms"),
    ("/invocations", b'{"dataframe_split": "c2VjcmV0"}', "application/json", 400, "columns and"),
    ("/invocations", b'{"dataframe_records": 3}', "application/json", 400, "no list of rows"),
    ("/invocations", b'{"inputs": []}', "application/json", 400, "no image"),
    ("/invocations", b"image\n" * 9, "text/csv", 413, "more than 6 images"),
    ("/invocations", b"c2VjcmV0\nc2VjcmV0\n", "text/csv", 400, "names no column image"),
    ("/invocations", b"<c2VjcmV0/>", "application/xml", 415, "this Content-Type is not taken"),
    ("/invocations", b'{"inputs":' + b"[" * 1100 + b"}", "application/json", 400, "nested"),
    ("/invocations", b'{"inputs":[' + b"{}," * 3000 + b"{}]}", "text/json", 413, "more JSON"),
    ("/invocations", b'{"inputs":[' + b'"a",' * 6 + b'"a"]}', "application/json", 413, "7 images"),
    ("/invocations", b"x" * 1_600_000, "image/png", 413, "more than 1.5 MB"),
    ("/v1/models/c2VjcmV0:predict", b"{}", "application/json", 404, "there is darkroom"),
    ("/v2/models/darkroom/versions/9/infer", b"{}", "application/json", 404, "version 1 serves"),
    (V2, b'{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}', "", 400, "must be BYTES"),
    (V2, b'{"inputs":[{"name":"x","datatype":"BYTES"}]}', "", 400, "has no data"),
    ("/c2VjcmV0", b"{}", "application/json", 404, "Not Found"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[-1])
def test_what_is_refused_is_told_and_not_repeated(
    server: Server, pictures: list[Path], case: tuple[str, bytes, str, int, str]
) -> None:
    path, body, kind, status, words = case
    found = server.post(path, body, kind)
    assert found[0] == status
    assert words in found[1]["message"] == found[1]["error"]
    assert SECRET not in json.dumps(found[1])
    expect_next_is_answered(server, pictures[0])


def test_a_client_that_sends_slowly_or_leaves_holds_nobody_up(
    server: Server, pictures: list[Path]
) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    slow = http.client.HTTPConnection(host, int(port), timeout=30)
    slow.putrequest("POST", "/invocations")
    slow.putheader("Content-Type", "image/png")
    slow.putheader("Content-Length", "1000")
    slow.endheaders(b"x")
    leaves = http.client.HTTPConnection(host, int(port))
    leaves.request("POST", "/invocations", iter([b"x"]), {"Content-Type": "image/png"})
    leaves.close()
    expect_next_is_answered(server, pictures[0])
    answer = slow.getresponse()
    assert (answer.status, b"within 3 s" in answer.read()) == (408, True)


def make_png(width: int, height: int, kind: int) -> bytes:
    """Return an empty PNG of a colour kind: small, whatever it claims."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    line = b"\0" * (1 + width * {0: 1, 2: 3, 6: 4}[kind])
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def make_tiff_with_a_huge_tile() -> bytes:
    """Return 16 × 16 pixels in one tile of 9,000 × 9,000."""
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 9000, 323: 9000}
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(9000)) for _ in range(9000)) + packer.flush()
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(data)}
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


@pytest.mark.slow
def test_memory_stays_below_the_stated_bound_whatever_is_sent(
    server: Server, pictures: list[Path]
) -> None:
    files = [(file.read_bytes(), "image/png") for file in pictures]
    with ThreadPoolExecutor(8) as pool:  # what it takes in ordinary use
        list(pool.map(lambda one: server.post("/invocations", *one), files * 8))
    rest = server.read_peak_mb()
    transparent, grey = make_png(2400, 2400, 6), make_png(4000, 4000, 0)
    stream, webp = io.BytesIO(), io.BytesIO()
    Image.new("RGBA", (2400, 2400), (1, 2, 3, 4)).save(webp, "WEBP", method=0)
    Image.new("RGB", (2400, 2400)).save(stream, "JPEG", progressive=True, quality=50, subsampling=0)
    hostile: list[tuple[bytes, str]] = [
        *((transparent, "image/png"), (stream.getvalue(), "image/jpeg"), (grey, "image/png")),
        (make_tiff_with_a_huge_tile(), "image/tiff"),
        (webp.getvalue(), "image/webp"),
        (b'{"inputs":[' + b"[]," * 490_000 + b"[]]}", "application/json"),
        (b'{"inputs":["' + b"A" * 1_400_000 + b'"]}', "application/json"),
    ]
    assert max(len(body) for body, _ in hostile) < 1e6 * LIMITS["max_request_mb"]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda one: server.post("/invocations", *one), hostile * 3))
    # 36 bytes a pixel, four times what waits, and room for what threads keep for themselves.
    bound = 36 * LIMITS["max_megapixels"] + 4 * LIMITS["max_waiting_mb"] + 40
    assert server.read_peak_mb() - rest < bound
    assert {status for status, _ in found} <= {200, 413, 503}
    reasons = [row["predictions"][0]["reason"] for status, row in found if status == 200]
    assert any(reason is None for reason in reasons)  # 5.8 million pixels are allowed
    assert any("more than the 6 million allowed" in (reason or "") for reason in reasons)
    expect_next_is_answered(server, pictures[0])


@pytest.mark.slow
def test_a_new_champion_and_the_old_one_again_and_no_request_is_lost(
    server: Server, pictures: list[Path]
) -> None:
    offline = {
        str(number): compute(model, pictures) for number, model in enumerate(server.models, start=1)
    }
    bodies = [{"inputs": [encode(file)]} for file in pictures]
    seen: list[str] = []

    def ask(client: int) -> None:
        for number in count(client):
            status, found = server.post("/invocations", bodies[number % len(bodies)])
            assert status == 200, found
            (row,), version = found["predictions"], found["model_version"]
            shares = [row["probabilities"][name] for name in CLASSES]
            assert shares == pytest.approx(offline[version][number % len(bodies)], abs=1e-5)
            seen.append(version)
            if seen[-1] == "1" and "2" in seen:
                return

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask, number) for number in range(8)]
        server.registry.set_alias("champion", "2")
        end = time.monotonic() + 60
        while "2" not in seen and time.monotonic() < end:
            time.sleep(0.05)
        server.registry.set_alias("champion", "1")
        for client in clients:
            client.result(timeout=90)
    assert seen.index("1") < seen.index("2")
    assert server.get("/v2")["loads"] == 3
