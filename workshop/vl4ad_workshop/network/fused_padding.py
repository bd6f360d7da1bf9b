# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Let convolutions in an exported graph pad by themselves.

PyTorch's convolutions pad both sides alike. TensorFlow's padding SAME with stride 2 does not, and
becomes an operator of its own, which copies the map. ONNX convolutions can pad each side.
"""

from __future__ import annotations

import onnx_ir

_SIDES = 4  # of two-dimensional maps: two axes, before and behind


def fuse_padding(model: onnx_ir.Model) -> int:
    """
    Move every padding with zeros into the convolution behind it.

    :param model: changed in place.
    :return: the number of paddings that are gone.
    """
    count = 0
    for pad in [node for node in model.graph if node.op_type == 'Pad']:
        users = [user for user, _ in pad.outputs[0].uses()]
        sides = _sides(pad)
        if len(users) != 1 or users[0].op_type != 'Conv' or sides is None:
            continue
        convolution = users[0]
        own = convolution.attributes.get('pads')
        automatic = convolution.attributes.get('auto_pad')
        if automatic is not None and automatic.as_string() != 'NOTSET':
            continue
        total = [a + b for a, b in zip(sides, own.as_ints() if own else [0] * _SIDES)]
        convolution.attributes['pads'] = onnx_ir.AttrInt64s('pads', total)
        convolution.replace_input_with(0, pad.inputs[0])
        model.graph.remove(pad, safe=True)
        count += 1
    return count


def _sides(pad: onnx_ir.Node) -> list[int] | None:
    """Return the padding of rows and columns before and behind; None if it is another padding."""
    mode = pad.attributes.get('mode')
    if mode is not None and mode.as_string() != 'constant' or len(pad.inputs) > 3:
        return None
    amounts = pad.inputs[1].const_value
    value = pad.inputs[2].const_value if len(pad.inputs) > 2 and pad.inputs[2] else None
    if amounts is None or value is not None and value.numpy().any():
        return None
    if len(pad.inputs) > 2 and pad.inputs[2] is not None and value is None:
        return None
    numbers = amounts.numpy().tolist()
    if len(numbers) != 8 or numbers[0] or numbers[1] or numbers[4] or numbers[5]:
        return None
    return [*numbers[2:4], *numbers[6:8]]
