"""The calls of layers and operations that a network is made of, and what they cost to compute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.common.backend import keras

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """A layer or operation at its place, with the shapes of what goes in and comes out.

    Shapes have a first side of 1 where that is the number of images.
    """

    node: Any
    given: list[Shape]
    made: list[Shape]

    @property
    def operation(self) -> Any:
        """What is called."""
        return self.node.operation

    def open(self) -> keras.Model | None:
        """Return the calls inside a network, or a layer that is made of others as KerasHub's are.

        Returns:
            A model that has the layer's own weights, but those that no inner layer owns; None: the
            layer has no others inside, or passes what is no tensor between them.
        """
        if not _has_inside(self.operation):
            return None
        if isinstance(self.operation, keras.Model) and _is_settled(self.operation):
            return self.operation
        inputs = {
            id(tensor): keras.Input(batch_shape=shape, dtype=tensor.dtype)
            for tensor, shape in zip(self.node.input_tensors, self.given, strict=True)
        }
        args, kwargs = keras.tree.map_structure(
            lambda value: inputs.get(id(value), value),
            (self.node.arguments.args, self.node.arguments.kwargs),
        )
        if not self.operation._call_has_training_arg:  # Keras notes it all the same
            kwargs.pop("training", None)
        try:
            return keras.Model(list(inputs.values()), self.operation.call(*args, **kwargs))
        except (ValueError, TypeError, AttributeError):
            return None


def _has_inside(operation: Any) -> bool:
    """Whether a layer is made of others: networks, layers with layers, all that is not Keras's."""
    is_keras = type(operation).__module__.startswith("keras.")
    return isinstance(operation, keras.Layer) and (bool(operation._layers) or not is_keras)


def _is_settled(model: keras.Model) -> bool:
    """Whether a network was made for images of one size."""
    return all(None not in tensor.shape[1:] for tensor in model.inputs)


def list_nodes(model: keras.Model) -> Iterator[Any]:
    """Yield the nodes of a model's graph, from the bottom up."""
    # A row of layers, as ConvNeXt has between its stages, keeps its graph in a model of its own.
    inside = model._functional if isinstance(model, keras.Sequential) else model
    for _, nodes in sorted(inside._nodes_by_depth.items(), reverse=True):
        yield from nodes


def list_calls(model: keras.Model) -> Iterator[Call]:
    """Yield the calls that a model is made of, from the bottom up, for one image."""
    shapes: dict[int, Shape] = {}
    for node in list_nodes(model):
        given = [shapes[id(tensor)] for tensor in node.input_tensors]
        made = [_find_shape(tensor, node.operation, given) for tensor in node.outputs]
        shapes |= zip(map(id, node.outputs), made, strict=True)
        yield Call(node, given, made)


def _find_shape(tensor: Any, operation: Any, given: Sequence[Shape]) -> Shape:
    """Return a tensor's shape for one image; a side that Keras does not know is the input's."""
    known, first = tensor.shape, given[0] if given else ()
    if isinstance(operation, keras.layers.EinsumDense) and None in known[1:]:
        sides = _name_sides(operation.equation, (first, operation.kernel.shape))
        return tuple(sides[name] for name in operation.equation.split("->")[1])
    # Scales of channels are such layers, and attention: what comes out is as large as what went in.
    same = first if len(first) == len(known) else (1,) * len(known)
    return tuple(side or (same[place] if place else 1) for place, side in enumerate(known))


def count_macs(network: keras.Model, size_px: int) -> int:
    """Return the multiply-adds of a network of Keras's or KerasHub's layers for one image."""
    pixels = keras.Input(batch_shape=(1, size_px, size_px, 3))
    named = isinstance(network.input, dict)
    found = network.call(dict.fromkeys(network.input, pixels) if named else pixels)
    return _count_inside(keras.Model(pixels, found))


def _count_inside(model: keras.Model) -> int:
    total = 0
    for call in list_calls(model):
        inside = call.open()
        total += _count_own(call) if inside is None else _count_inside(inside)
    return total


def _count_own(call: Call) -> int:
    """Return the multiply-adds of a call that has no others inside."""
    operation, out = call.operation, call.made[0]
    kind = type(operation).__name__
    found = 0
    if kind == "EinsumDense":
        sides = _name_sides(operation.equation, (call.given[0], operation.kernel.shape))
        found = math.prod(sides.values())
    elif kind == "Einsum":
        found = math.prod(_name_sides(operation.subscripts, call.given).values())
    elif kind == "Matmul":
        found = math.prod(out) * call.given[0][-1]
    elif kind == "DotProductAttention":
        found = 2 * math.prod(call.given[0]) * call.given[1][1]
    elif kind == "SeparableConv2D":
        kernels = (operation.depthwise_kernel, operation.pointwise_kernel)
        found = math.prod(out[:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)
    elif hasattr(operation, "kernel"):  # Conv2D, DepthwiseConv2D, Dense
        found = math.prod(out[:-1]) * math.prod(operation.kernel.shape)
    return found


def _name_sides(equation: str, shapes: Sequence[Shape]) -> dict[str, int]:
    """Return how long each side is that an equation of Einstein's sums names."""
    sides: dict[str, int] = {}
    for given, shape in zip(equation.split("->", maxsplit=1)[0].split(","), shapes, strict=True):
        names = given.strip().replace("...", "")
        first = len(shape) - len(names)
        sides |= zip(names, shape[first:], strict=True)
        if first:
            sides["..."] = math.prod(shape[:first])
    return sides
