# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
No operation of the network prevents its capture as a CUDA graph; needs torch, no GPU.

A graph cannot contain a copy from pageable host memory, or a value that Python waits for. Fake
tensors run the operations on a 'cuda' device without memory, values or a driver. The last test
captures the network on a real GPU (benchmarks/torch_capture.py).
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import excess, load_reference, measure  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.export import VisionGraph  # noqa: E402
from vl4ad_workshop.network.precision import set_precision  # noqa: E402
from vl4ad_workshop.network.reexport import load_network  # noqa: E402


class Watch(TorchDispatchMode):
    """Lists the operations that read or write host memory."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [t for t in pytree.tree_leaves((args, kwargs, result))
                   if isinstance(t, torch.Tensor)]
        if any(t.device.type == 'cpu' for t in tensors) or 'nonzero' in str(function):
            self.found.append(str(function))
        return result


@pytest.mark.parametrize('form', ['grid-sample', 'gather'])
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_network_never_touches_the_host(precision, form):
    bundle = Bundle.open('tiny')
    network, _ = load_network(bundle)
    set_precision(network, precision)
    set_sampling(network, form)
    with FakeTensorMode(), torch.no_grad():
        for module in network.modules():
            for name, value in module.named_parameters(recurse=False):
                module._parameters[name] = torch.nn.Parameter(
                    torch.empty(value.shape, dtype=value.dtype, device='cuda'), False)
            for name, value in module.named_buffers(recurse=False):
                module._buffers[name] = torch.empty(
                    value.shape, dtype=value.dtype, device='cuda')
        inputs = [torch.zeros(t.shape, dtype=getattr(torch, t.dtype), device='cuda')
                  for t in bundle.vision_signature.inputs]
        graph = VisionGraph(
            network, bundle.capacity.classes, Classification(**bundle.network.classification))
        with Watch() as watch:
            outputs = graph(*inputs)[:len(bundle.vision_signature.outputs)]
    assert not watch.found
    for value, expected in zip(outputs, bundle.vision_signature.outputs):
        assert value.is_cuda and tuple(value.shape) == expected.shape
        assert str(value.dtype) == f'torch.{expected.dtype}'


@pytest.mark.parametrize('bad', [
    lambda x: x + x.new_tensor([1.0, 2.0]),
    lambda x: x + torch.arange(2).to(x.device),
    lambda x: x.cpu()])
def test_what_touches_the_host_would_be_seen(bad):
    with FakeTensorMode():
        x = torch.zeros(2, device='cuda')
        with Watch() as watch:
            bad(x)
    assert watch.found


def test_value_that_python_waits_for_would_be_seen():
    with FakeTensorMode():
        x = torch.zeros(2, device='cuda')
        with pytest.raises(Exception, match='_local_scalar_dense'):
            x.sum().item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_cuda_graph_agrees_with_the_reference_frames(precision):
    from benchmarks.torch_capture import CapturedNetwork
    bundle = Bundle.open('tiny')
    network = CapturedNetwork(bundle, precision)
    assert not excess(measure(load_reference(bundle), network.run), precision)
    assert set(network.stages) == {'upload', 'network', 'download'}
