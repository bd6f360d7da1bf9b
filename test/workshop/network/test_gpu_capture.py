# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The network on a GPU that is not there: nothing in it may stop a CUDA graph. Needs torch.

A graph cannot hold a copy from the host's pageable memory or a value that Python waits for. Fake
tensors run the network's operations on a 'cuda' device without memory, values or a driver.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from vl4ad_ros.bundle.bundle import Bundle  # noqa: E402
from vl4ad_ros.inference.errors import DeviceMemoryError, FatalBackendError  # noqa: E402
from vl4ad_workshop.network import torch_backend  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.export import VisionGraph  # noqa: E402
from vl4ad_workshop.network.precision import set_precision  # noqa: E402
from vl4ad_workshop.network.reexport import load_network  # noqa: E402


class Watch(TorchDispatchMode):
    """Lists the operations that touch the host."""

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


def test_errors_of_the_gpu_are_told_apart(monkeypatch):
    device = torch.device('cuda', 0)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (7 << 20, 80 << 30))
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: None)
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda device: None)
    with pytest.raises(DeviceMemoryError, match='needed 2560 MiB, free 7 MiB'):
        with torch_backend._Errors(device):
            raise torch.OutOfMemoryError(
                'CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of')
    with pytest.raises(torch_backend.BackendError, match='launch') as caught:
        with torch_backend._Errors(device):
            raise RuntimeError('CUDA error: invalid launch configuration')
    assert not isinstance(caught.value, FatalBackendError)

    def broken(device):
        raise RuntimeError('CUDA error: an illegal memory access was encountered')

    monkeypatch.setattr(torch.cuda, 'synchronize', broken)
    with pytest.raises(FatalBackendError, match='start it again'):
        with torch_backend._Errors(device):
            broken(device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_cuda_graph_agrees_with_the_cpu(precision):
    import numpy as np
    from vl4ad_ros.bundle.reference import excess, measure, Reference, TEXT_INPUTS
    from vl4ad_ros.inference.backend import BackendOptions, open_backend
    from vl4ad_ros.inference.detector import Detector
    from vl4ad_workshop.scenes.still import draw_still
    bundle = Bundle.open('tiny')
    cpu = open_backend(bundle, 'onnxruntime')
    prompts = Detector(bundle, cpu).encode(bundle.vocabulary)
    texts = {name: getattr(prompts, name) for name in TEXT_INPUTS}
    images = np.stack([draw_still(np.random.default_rng(i), bundle.vision_signature.inputs[0]
                                  .shape[:2]).image for i in range(3)])
    reference = Reference(images, texts, tuple(cpu.run(i, *texts.values()) for i in images))
    gpu = torch_backend.open_backend(bundle, BackendOptions(precision=precision))
    try:
        assert not excess(measure(reference, gpu.run), precision)
        assert gpu.device_memory() > 0
        assert set(gpu.stages) == {'upload', 'network', 'download'}
    finally:
        gpu.close()
