"""CSV bodies: what clients of MLflow write as a table, and what is none."""

from __future__ import annotations

import base64
import time
import tracemalloc

import pandas as pd
import pytest

from components.predict.serve.bodies import Question, RefusedError, Unread, read_question

A, B = b"\x89PNG of one" * 9, b"\xff\xd8 of another" * 9
ONE, TWO = (base64.b64encode(data).decode() for data in (A, B))
URL = f"data:image/png;base64,{ONE}"


def read(text: str | bytes, kind: str = "text/csv") -> Question:
    body = text if isinstance(text, bytes) else text.encode()
    return read_question(bytearray(body), kind, None, max_images=6)


@pytest.mark.parametrize(
    "text",
    [
        pd.DataFrame({"image": [ONE, TWO]}).to_csv(index=False),
        pd.DataFrame({"image": [ONE, TWO]}, index=[7, 8]).to_csv(),  # with the index, the default
        pd.DataFrame({"id": ["ä,1", 'b "2"'], "image": [URL, TWO]}).to_csv(index=False),
        pd.DataFrame({"image_bytes": [ONE, base64.encodebytes(B).decode()]}).to_csv(index=False),
        f"\ufeffid, image\r\n1,{ONE}\r\n\r\n2,{TWO}\r\n",
        f"image,id\n{URL},1\n{TWO},2",  # the comma of the URL is not quoted
        f'"image"\n"{ONE}"\n"{TWO}"\n',
    ],
)
def test_a_table_is_read_as_dataframe_split_is(text: str) -> None:
    assert read(text) == Question([A, B])
    assert read(text, "Text/CSV; charset=UTF-8") == Question([A, B])


def test_a_row_without_an_image_answers_for_itself() -> None:
    first, second, third = read(f"id,image\n1\n2,{TWO}\n3,##").images
    assert second == B
    assert isinstance(first, Unread)
    assert isinstance(third, Unread)
    assert "an image is wanted" in first.reason


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (f"{ONE}\n{TWO}\n", 400, "the first line of the CSV names no column image"),
        ("\n\n", 400, "names no column image"),
        ("image\n", 400, "there is no image"),
        (f'image\n"{ONE}', 400, "is not CSV in UTF-8"),
        (b"image\n\xff\xfe", 400, "is not CSV in UTF-8"),
        ("image\n" + "a\n" * 7, 413, "more than 6 images"),
    ],
)
def test_what_is_no_table_of_images_is_refused(text: str | bytes, status: int, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        read(text)
    assert caught.value.status == status
    assert ONE not in str(caught.value)


@pytest.mark.parametrize("filling", [b",", b"\n", b"\r", b'"",', b'""'])
def test_a_body_of_marks_takes_little_time_and_memory(filling: bytes) -> None:
    body = bytearray(b"image\n" + filling * (4_000_000 // len(filling)))
    tracemalloc.start()
    began = time.process_time()
    try:
        question = read_question(body, "text/csv", None, max_images=6)
    except RefusedError:
        pass
    else:
        assert len(question.images) <= 6
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(body)
    assert time.process_time() - began < 10
