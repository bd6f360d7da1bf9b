# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for the TensorRT backend that can fail at any step; it computes on the CPU.

`install` puts this module into the registry of backends, where the node finds it as it finds the
real one. Run as a program, this file starts the node with that backend and with the `Plan` in the
environment variable FAKE_GPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import logging
import os
import sys
import time
from typing import Any

from vl4ad_ros.inference import backend as backends
from vl4ad_ros.inference import errors
from vl4ad_ros.inference import onnxruntime

COMMAND = 'vl4ad build /bundles/mock --device 1'
KINDS = {kind.__name__: kind for kind in (
    errors.BackendError, errors.BackendUnavailable, errors.DeviceMemoryError,
    errors.EngineMissing, errors.FatalBackendError)}


@dataclass
class Plan:
    """
    What happens next; a test changes it while the node runs.

    :ivar at: step that fails: 'unavailable', 'open', 'run' or 'text'; '' if none does.
    :ivar error: name of the class in `KINDS` that is raised there, or 'hang'.
    :ivar reason: its message.
    :ivar after: number of calls that succeed before; the warm-up makes three.
    :ivar build_s: the engine is missing, and building it takes so many seconds; 0 if it is there.
    """

    at: str = ''
    error: str = ''
    reason: str = 'broken on purpose'
    after: int = 0
    build_s: float = 0.0

    def strike(self, at: str) -> None:
        """Fail if that is planned for this step."""
        if self.at == at and self.after <= 0:
            while self.error == 'hang':
                time.sleep(1)
            raise KINDS[self.error](self.reason)
        self.after -= at == self.at


plan = Plan()
opened: list[FakeGpu] = []
seen: list[backends.BackendOptions] = []


class FakeGpu:
    """ONNX Runtime on the CPU, with the stages and the faults of a GPU."""

    name = 'tensorrt'
    description = 'tensorrt 10.0, fp16, Fake Orin, engine 3f2a90c1'

    def __init__(self, bundle: Any, options: backends.BackendOptions) -> None:
        self._cpu = onnxruntime.OnnxRuntimeCpu(bundle, options)
        self.closed = False
        opened.append(self)

    @property
    def stages(self) -> dict[str, float]:
        """Return invented durations in ms."""
        return {'upload': 1.25, 'network': 40.0, 'download': 0.5}

    def run(self, *arguments: Any) -> Any:
        """Return what the CPU computes, unless the plan says otherwise."""
        plan.strike('run')
        return self._cpu.run(*arguments)

    def encode_text(self, tokens: Any) -> Any:
        """Return what the CPU computes, unless the plan says otherwise."""
        plan.strike('text')
        return self._cpu.encode_text(tokens)

    def device_memory(self) -> int:
        """Return an invented number of bytes."""
        return 600 * 2 ** 20

    def close(self) -> None:
        """Record that it was called."""
        self.closed = True
        self._cpu.close()


def unavailable(options: backends.BackendOptions) -> str:
    """Return a reason if the plan says that the backend is unavailable."""
    return plan.reason if plan.at == 'unavailable' else ''


def open_backend(bundle: Any, options: backends.BackendOptions) -> FakeGpu:
    """Open the backend, after a long build if the plan says so."""
    seen.append(options)
    plan.strike('open')
    if plan.build_s and not options.build_if_missing:
        raise errors.EngineMissing(f'no engine for mock fp16 on Fake Orin; run: {COMMAND}')
    for percent in range(0, 100, 10) if plan.build_s else ():
        logging.getLogger('vl4ad_ros.inference').warning(
            f'building an engine: {percent} %')
        time.sleep(plan.build_s / 10)
    return FakeGpu(bundle, options)


def install() -> None:
    """Take the place of the TensorRT backend, on a machine with an NVIDIA GPU."""
    backends.REGISTRY[FakeGpu.name] = __name__
    backends._no_gpu = lambda device: ''


def environment(plan: Plan) -> dict[str, str]:
    """Return the environment of a process of this program."""
    return {**os.environ, 'FAKE_GPU': json.dumps(asdict(plan))}


if __name__ == '__main__':
    import fake_gpu
    fake_gpu.plan = Plan(**json.loads(os.environ['FAKE_GPU']))
    fake_gpu.install()
    from vl4ad_ros.node.__main__ import main
    sys.exit(main())
