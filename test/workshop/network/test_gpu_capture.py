# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
No operation of the network prevents its capture as a CUDA graph; needs torch, no GPU.

A graph cannot contain a copy from pageable host memory, or a value that Python waits for. Fake
tensors run the operations on a 'cuda' device without memory, values or a driver. The last test
captures the network (benchmarks/gpu/captured.py), on a real GPU if there is one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip('torch')

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import excess, load_reference, measure  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.export import VisionGraph  # noqa: E402
from vl4ad_workshop.network.precision import set_precision  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402


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
@pytest.mark.parametrize('trunk', ['tiny', 'ConvNeXt', 'ResNet'])
def test_network_never_touches_the_host(trunk, precision, form, trunks):
    bundle = Bundle.open('tiny')
    if trunk == 'tiny':
        network, _ = load_network(bundle)
    else:
        network = Vl4ad(trunks[trunk]).requires_grad_(False).eval()
    signature = bundle.vision_signature
    concepts = signature.inputs[1].shape[0], network.config.embed_dim
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
        inputs = [torch.zeros(concepts if t.name == 'concepts' else t.shape,
                              dtype=getattr(torch, t.dtype), device='cuda')
                  for t in signature.inputs]
        graph = VisionGraph(
            network, bundle.capacity.classes, Classification(**bundle.network.classification))
        with Watch() as watch:
            outputs = graph(*inputs)[:len(signature.outputs)]
    assert not watch.found
    for value, expected in zip(outputs, signature.outputs):
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


@pytest.mark.parametrize('place', ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA GPU'))])
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_captured_network_agrees_with_the_reference_frames(precision, place):
    from benchmarks.gpu.captured import CapturedNetwork
    from benchmarks.gpu.device import open_device
    from benchmarks.gpu.models import Variant
    bundle = Bundle.open('tiny')
    reference = load_reference(bundle)
    if place == 'cpu':  # where half precision may take seconds for a frame
        reference = replace(
            reference, images=reference.images[:1], answers=reference.answers[:1])
    network = CapturedNetwork.of_bundle(open_device(place), bundle, Variant(precision))
    assert not excess(measure(reference, network.run), precision)
    assert set(network.stages) == {'upload', 'network', 'download'}
    with pytest.raises(ValueError, match='expected an input of shape'):
        network.run(reference.images[0][:1])
