# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compute linear projections of the same input as one product in an exported graph.

In the network these are the queries and keys of self-attention, the offsets and weights of
deformable attention, and the keys and values of all cross-attentions to the same level. One large
product needs fewer kernels than several small ones. TensorRT also merges such products by itself,
and 10.13.3.9 (JetPack 7.0 and 7.1) was reported to do this wrongly at batch size 1
(github.com/NVIDIA/TensorRT-Edge-LLM issue 151). One product leaves it nothing to merge.

Only the graph changes. Parameters keep their names and their places in the weight file: the graph
concatenates them, which inference libraries compute once, when they load it.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir


@dataclass(frozen=True)
class _Projection:
    """A product with a constant matrix and the addition of a constant vector."""

    matmul: onnx_ir.Node
    add: onnx_ir.Node

    @property
    def weight(self) -> onnx_ir.Value:
        """The matrix, [inputs, outputs]."""
        return self.matmul.inputs[1]

    @property
    def bias(self) -> onnx_ir.Value:
        """The vector, [outputs]."""
        return self.add.inputs[1 - self.add.inputs.index(self.matmul.outputs[0])]


def fuse_projections(model: onnx_ir.Model) -> int:
    """
    Replace all projections of an input by one projection, whose result is split.

    :param model: changed in place. Equal values must be the same value, which
        `onnx_ir.passes.common.CommonSubexpressionEliminationPass` ensures.
    :return: the number of projections that are gone.
    """
    graph = model.graph
    constants = _constants(graph)
    groups: dict[onnx_ir.Value, list[_Projection]] = {}
    for node in graph:
        projection = _projection(node, constants)
        if projection is not None:
            groups.setdefault(node.inputs[0], []).append(projection)
    groups = {source: group for source, group in groups.items() if len(group) > 1}
    for source, group in groups.items():
        _fuse(graph, source, group)
    # A projection of a later layer has moved to the first one; so must its parameters.
    graph.sort()
    return sum(len(group) - 1 for group in groups.values())


def _constants(graph: onnx_ir.Graph) -> set[onnx_ir.Value]:
    """Return the values that no input of the graph reaches."""
    constants = set(graph.initializers.values())
    for node in graph:
        if all(value is None or value in constants for value in node.inputs):
            constants.update(node.outputs)
    return constants


def _projection(node: onnx_ir.Node, constants: set[onnx_ir.Value]) -> _Projection | None:
    """Return the projection that begins with a node, if one does."""
    if node.op_type != 'MatMul' or node.inputs[0] in constants or node.inputs[1] not in constants:
        return None
    users = [user for user, _ in node.outputs[0].uses()]
    if len(users) != 1 or users[0].op_type != 'Add' or node.outputs[0].is_graph_output():
        return None
    projection = _Projection(node, users[0])
    shapes = node.inputs[0].shape, projection.weight.shape, projection.bias.shape
    if projection.bias not in constants or None in shapes or len(shapes[1]) != 2:
        return None
    # A bias of another shape would be broadcast.
    return projection if list(shapes[2]) == [shapes[1][1]] else None


def _fuse(graph: onnx_ir.Graph, source: onnx_ir.Value, group: list[_Projection]) -> None:
    """Compute a group of projections of `source` where the first one is."""
    name = group[0].add.outputs[0].name
    dtype, widths = group[0].weight.dtype, [p.weight.shape[1] for p in group]

    def value(suffix: str, *shape: int | onnx_ir.SymbolicDim) -> onnx_ir.Value:
        return onnx_ir.Value(name=f'{name}.{suffix}', shape=onnx_ir.Shape(shape),
                             type=onnx_ir.TensorType(dtype))

    def node(kind: str, inputs: list[onnx_ir.Value], outputs: list[onnx_ir.Value],
             axis: int | None = None) -> onnx_ir.Node:
        attributes = [] if axis is None else [onnx_ir.AttrInt64('axis', axis)]
        return onnx_ir.Node('', kind, inputs, attributes, outputs=outputs,
                            name=f'{outputs[0].name}.{kind}')

    rows = tuple(source.shape)[:-1]
    weight, bias = value('weight', source.shape[-1], sum(widths)), value('bias', sum(widths))
    product, total = value('product', *rows, sum(widths)), value('sum', *rows, sum(widths))
    parts = [value(f'part.{i}', *rows, width) for i, width in enumerate(widths)]
    sizes = onnx_ir.Value(name=f'{name}.sizes', const_value=onnx_ir.tensor(
        widths, onnx_ir.DataType.INT64, name=f'{name}.sizes'))
    graph.register_initializer(sizes)
    graph.insert_before(group[0].matmul, [
        node('Concat', [p.weight for p in group], [weight], 1),
        node('Concat', [p.bias for p in group], [bias], 0),
        node('MatMul', [source, weight], [product]),
        node('Add', [product, bias], [total]),
        node('Split', [total, sizes], parts, len(rows))])
    for projection, part in zip(group, parts):
        result = projection.add.outputs[0]
        result.replace_all_uses_with(part, replace_graph_outputs=True)
        graph.remove([projection.matmul, projection.add], safe=True)
        part.name = result.name
