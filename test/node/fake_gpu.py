# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A backend that behaves like one on a GPU, with any fault at any moment; computes on the CPU.

It takes the real way in: `enlist` puts this module into the registry of backends. As a program it
is the node with that backend, with the `Plan` that the environment variable FAKE_GPU holds.
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

COMMAND = 'vl4ad build /bundles/mock --backend fake-gpu --device 1'
KINDS = {kind.__name__: kind for kind in (
    errors.BackendError, errors.BackendUnavailable, errors.DeviceMemoryError,
    errors.EngineMissing, errors.FatalBackendError)}


@dataclass
class Plan:
    """
    What happens next; a test changes it while the node runs.

    :ivar at: 'open', 'run' or 'text'; where `error`, a name of `KINDS`, is raised with `reason`,
        or 'hang'.
    :ivar after: so many runs go well before; three are the warm-up.
    :ivar build_s: an engine that is missing is built in so many seconds.
    """

    at: str = ''
    error: str = ''
    reason: str = 'broken on purpose'
    after: int = 0
    build_s: float = 0.0

    def strike(self, at: str) -> None:
        """Raise what is planned for this place."""
        if self.at == at and self.after <= 0:
            while self.error == 'hang':
                time.sleep(1)
            raise KINDS[self.error](self.reason)
        self.after -= at == self.at


plan = Plan()
opened: list[FakeGpu] = []
seen: list[backends.BackendOptions] = []


class FakeGpu:
    """ONNX Runtime, with a GPU's figures and faults."""

    name = 'fake-gpu'
    description = 'fake-gpu 1.0, fp16, Fake Orin, engine 3f2a90c1'

    def __init__(self, bundle: Any, options: backends.BackendOptions) -> None:
        self._cpu = onnxruntime.open_backend(bundle, options)
        self.closed = False
        opened.append(self)

    @property
    def stages(self) -> dict[str, float]:
        """Made-up figures in ms."""
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
        """Return a made-up figure."""
        return 600 * 2 ** 20

    def close(self) -> None:
        """Note that it was called."""
        self.closed = True
        self._cpu.close()


def unavailable(options: backends.BackendOptions) -> str:
    """Return a reason if the plan has one for it."""
    return plan.reason if plan.at == 'unavailable' else ''


def open_backend(bundle: Any, options: backends.BackendOptions) -> FakeGpu:
    """Open it, after a long build if the plan says so."""
    seen.append(options)
    plan.strike('open')
    if plan.build_s and not options.build_if_missing:
        raise errors.EngineMissing(f'no engine for mock fp16 on Fake Orin; run: {COMMAND}')
    for percent in range(0, 100, 10) if plan.build_s else ():
        logging.getLogger('vl4ad_ros.inference').warning(
            f'building fake-gpu engine: {percent} %')
        time.sleep(plan.build_s / 10)
    return FakeGpu(bundle, options)


def enlist() -> None:
    """Make it the backend that 'auto' asks first, as a GPU is."""
    backends.REGISTRY[FakeGpu.name] = __name__
    backends.AUTO = (FakeGpu.name, *backends.AUTO)


def environment(plan: Plan) -> dict[str, str]:
    """Return the environment of a process of this program."""
    return {**os.environ, 'FAKE_GPU': json.dumps(asdict(plan))}


if __name__ == '__main__':
    import fake_gpu
    fake_gpu.plan = Plan(**json.loads(os.environ['FAKE_GPU']))
    fake_gpu.enlist()
    from vl4ad_ros.node.__main__ import main
    sys.exit(main())
