"""Records that are made without TensorFlow are read by TensorFlow."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.shards.tfrecord import create_record, serialize_example
from tests.processes import run_python

FEATURES = {"pixels": bytes(range(256)) * 20, "label": 7, "path": "weiß/ä.png".encode(), "low": -3}


def test_tensorflow_reads_the_records(tmp_path: Path) -> None:
    from components.common.backend import tf

    file = tmp_path / "a.tfrecord"
    file.write_bytes(b"".join(create_record(FEATURES | {"label": label}) for label in range(3)))
    wanted = {
        "pixels": tf.io.FixedLenFeature([], tf.string),
        "path": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "low": tf.io.FixedLenFeature([], tf.int64),
    }
    records = list(tf.data.TFRecordDataset([str(file)]))  # checks both checksums of each
    found = [tf.io.parse_single_example(record, wanted) for record in records]
    assert [int(example["label"]) for example in found] == [0, 1, 2]
    assert found[0]["pixels"].numpy() == FEATURES["pixels"]
    assert found[0]["path"].numpy().decode() == "weiß/ä.png"
    assert int(found[0]["low"]) == -3


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.binary(max_size=300) | st.integers(-(2**63), 2**63 - 1),
        min_size=1,
        max_size=5,
    )
)
def test_message_is_tensorflows_own(features: dict[str, bytes | int]) -> None:
    from components.common.backend import tf

    def feature(value: bytes | int) -> object:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    named = {name: feature(value) for name, value in features.items()}
    expected = tf.train.Example(features=tf.train.Features(feature=named))
    assert tf.train.Example.FromString(serialize_example(features)) == expected


def test_same_features_give_the_same_bytes() -> None:
    turned = dict(reversed(FEATURES.items()))
    assert create_record(FEATURES) == create_record(turned)


def test_tensorflow_is_not_imported() -> None:
    code = (
        "import sys; from components.common.shards.tfrecord import create_record; "
        "create_record({'a': b'1'}); print('tensorflow' in sys.modules)"
    )
    assert run_python(code).strip() == "False"
