"""Make TFRecords of tf.train.Example without TensorFlow, whose import costs seconds.

A record is its length, a checksum of the length, the data, and a checksum of the data
(tensorflow/core/lib/io/record_writer.h); the data is a message that tf.io.parse_example reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any


def create_record(features: Mapping[str, bytes | int]) -> bytes:
    """Return one record: a shard is nothing but records one after another.

    Args:
        features: name → bytes (a bytes feature) or int (an int64 feature).
    """
    data = serialize_example(features)
    length = struct.pack("<Q", len(data))
    return b"".join((length, compute_masked_crc(length), data, compute_masked_crc(data)))


def serialize_example(features: Mapping[str, bytes | int]) -> bytes:
    """Return a serialized tf.train.Example; the same features give the same bytes."""
    example = _example_class()()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return bytes(example.SerializeToString(deterministic=True))


def compute_masked_crc(data: bytes) -> bytes:
    """Return the CRC32C of data, rotated and shifted as TFRecord wants it."""
    import google_crc32c

    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _example_class() -> Any:
    """Return the message class of tf.train.Example (tensorflow/core/example/feature.proto).

    It lives in a pool of its own: TensorFlow, imported into the same process, brings the real one.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="darkroom/example.proto", syntax="proto3")

    def message(owner: Any, name: str, *fields: Any, **options: Any) -> None:
        owner.add(name=name, field=fields, **options)

    def field(name: str, number: int, of: int | str, **options: Any) -> Any:
        form = {"type": of} if isinstance(of, int) else {"type": kind.TYPE_MESSAGE, "type_name": of}
        return kind(name=name, number=number, **({"label": kind.LABEL_OPTIONAL} | form | options))

    repeated = {"label": kind.LABEL_REPEATED}
    message(file.message_type, "BytesList", field("value", 1, kind.TYPE_BYTES, **repeated))
    message(file.message_type, "Int64List", field("value", 1, kind.TYPE_INT64, **repeated))
    message(
        file.message_type,
        "Feature",
        field("bytes_list", 1, ".BytesList", oneof_index=0),
        field("int64_list", 3, ".Int64List", oneof_index=0),
        oneof_decl=[descriptor_pb2.OneofDescriptorProto(name="kind")],
    )
    message(
        file.message_type, "Features", field("feature", 1, ".Features.FeatureEntry", **repeated)
    )
    message(
        file.message_type[-1].nested_type,  # a map is a repeated message of key and value
        "FeatureEntry",
        field("key", 1, kind.TYPE_STRING),
        field("value", 2, ".Feature"),
        options=descriptor_pb2.MessageOptions(map_entry=True),
    )
    message(file.message_type, "Example", field("features", 1, ".Features"))

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))
