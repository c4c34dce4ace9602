"""What is asked of a model: lists of files, bodies of requests, and the log of a server."""

from __future__ import annotations

import json

from tests.fuzz.parser import Parser, Run, with_file

JSON = "application/json"


def read_list(data: bytes) -> None:
    from components.predict.listing import _split_list

    _split_list(data, "list")


def read_question(kind: str, length: str | None = None) -> Run:
    from components.predict.serve.bodies import read_question as read

    def run(data: bytes) -> None:
        read(bytearray(data), kind, length, 8)

    return run


def seed_questions() -> list[bytes]:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    return [
        b'{"instances": [{"b64": "aGFsbG8="}, "data:image/png;base64,aGFsbG8="]}',
        b'{"dataframe_split": {"columns": ["image"], "data": [["aGFsbG8="]]}}',
        b'{"dataframe_records": [{"image": "aGFsbG8="}]}',
        json.dumps({"id": "1", "inputs": [tensor | {"data": ["aGFsbG8="]}]}).encode(),
    ]


def seed_tensors() -> list[bytes]:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": 9}
    head = json.dumps({"inputs": [tensor]}).encode()
    return [head.ljust(128) + b"\x05\0\0\0hallo"]


def read_encoded(data: bytes) -> None:
    from components.common.serving.encoded import read_encoded as read

    read(data.decode("utf-8", "replace"))


def read_log(data: bytes) -> None:
    from components.predict.serve.requestlog import read_logs

    with_file(lambda file: read_logs([file], "1"), "requests.jsonl")(data)


def seed_logs() -> list[bytes]:
    return [b'{"version": "1", "label": "cat", "probability": 0.5, "brightness": 0.1}\n{"vers']


PARSERS = {
    "list": Parser(read_list, lambda: [b"a.jpg\nb.jpg\r\n", b"a\0b\0", b"\xef\xbb\xbf\xff\n"]),
    "question": Parser(read_question(JSON), seed_questions),
    "question-tensors": Parser(read_question(JSON, "128"), seed_tensors),
    "question-csv": Parser(read_question("text/csv"), lambda: [b'image\naGFs\n"bG8="\n']),
    "encoded": Parser(read_encoded, lambda: [b"data:image/png;base64,aGFsbG8=", b"aGFs-_=="]),
    "request-log": Parser(read_log, seed_logs),
}
