# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad bench`: how long a frame takes on each backend, all of them in one run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
import json
import os
from pathlib import Path
import platform
import re
import subprocess
import sys
import tempfile
import time
from typing import Any

import cv2
import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import load_reference, Maps, measure
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.backend import Backend, BackendOptions, open_backend, REGISTRY
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, EngineMissing
from vl4ad_ros.inference.tensorrt.cuda import find_device
from vl4ad_ros.obstacles.pipeline import Pipeline
from vl4ad_workshop.scenes.still import draw_still

STAGES = ('decode', 'resize', 'upload', 'network', 'download', 'upsample', 'mask', 'obstacles')
SLOW_TO_OPEN = ('torch-compile',)
"""Backends that are measured only when they are named."""
WARM_UP, WARM_UP_S = 10, 10.0
"""Frames, and seconds after which no other is begun: a large network takes seconds on a CPU."""
THRESHOLD = 0.5
PAUSE_S = 0.02
"""After each frame, as a camera leaves it: waiting threads of one backend would take the cores of
the next."""
_DRAWN = 4
_LIBRARIES = ('numpy', 'opencv-python-headless', 'openvino', 'onnxruntime', 'onnxruntime-gpu',
              'torch', 'tensorrt', 'tensorrt-rtx', 'cuda-python')


@dataclass
class Result:
    """
    One backend's figures.

    :ivar load_s: seconds to open the bundle, embed its prompts and warm up.
    :ivar host_mib: memory of this process that it added, libraries included.
    :ivar device_mib: memory of the GPU that it holds, None on a CPU.
    :ivar deviation: from the bundle's reference frames, '' if it has none.
    :ivar latency_ms: p50, p90, p99 and mean of a whole frame, decoding included.
    :ivar frames_per_s: one frame after another.
    :ivar stages_ms: median of each stage that it has.
    """

    backend: str
    threads: int
    description: str
    load_s: float
    host_mib: int
    device_mib: int | None
    deviation: str
    latency_ms: dict[str, float] = field(default_factory=dict)
    frames_per_s: float = 0.0
    stages_ms: dict[str, float] = field(default_factory=dict)


class Contender:
    """A backend with all that is around it on a vehicle, and what it took."""

    def __init__(self, bundle: Bundle, name: str, options: BackendOptions,
                 image: np.ndarray) -> None:
        """Open `name` and warm it up on `image`."""
        before, start = _resident(), time.perf_counter()
        self._backend = _Timed(open_backend(bundle, name, options))
        self._pipeline = Pipeline()
        self._rows: list[dict[str, float]] = []
        try:
            self._detector = Detector(bundle, self._backend)
            self._prompts = self._detector.encode(bundle.vocabulary)
            warm = time.perf_counter() + WARM_UP_S
            for _ in range(WARM_UP):
                self._detector.detect(image, self._prompts)
                if time.perf_counter() > warm:
                    break
            load_s = time.perf_counter() - start
            memory = self._backend.device_memory()
            self._result = Result(
                self._backend.name, options.threads, self._backend.description, round(load_s, 2),
                (_resident() - before) >> 20, None if memory is None else memory >> 20,
                str(measure(load_reference(bundle), self._backend.run)) if bundle.reference
                else '')
        except BaseException:
            self._backend.close()
            raise

    def process(self, jpeg: np.ndarray) -> None:
        """Take one compressed camera image all the way to its obstacles."""
        clock = time.perf_counter
        start = clock()
        image = decode(jpeg)
        decoded = clock()
        prediction = self._detector.detect(image, self._prompts)
        called, returned = self._backend.called, self._backend.returned
        prediction.score
        grown = clock()
        prediction.mask(THRESHOLD)
        masked = clock()
        # As from a camera of 10 Hz, which nothing resets.
        stamp_ns = 10 ** 8 * (1 + len(self._rows))
        self._pipeline.process(prediction, stamp_ns, stamp_ns)
        end = clock()
        row = {'decode': decoded - start, 'resize': called - decoded, 'upsample': grown - returned,
               'mask': masked - grown, 'obstacles': end - masked, 'frame': end - start}
        self._rows.append({**{k: 1e3 * v for k, v in row.items()}, **self._backend.stages})

    def result(self) -> Result:
        """Return the figures of all frames so far."""
        frames = np.array([row['frame'] for row in self._rows])
        result = self._result
        result.latency_ms = {
            **{f'p{q}': round(float(np.percentile(frames, q)), 2) for q in (50, 90, 99)},
            'mean': round(float(frames.mean()), 2)}
        result.frames_per_s = round(1e3 / float(frames.mean()), 1)
        result.stages_ms = {
            stage: round(float(np.median([row[stage] for row in self._rows])), 3)
            for stage in STAGES if stage in self._rows[0]}
        return result

    def close(self) -> None:
        """Free the backend."""
        self._backend.close()


class _Timed:
    """A backend that notes when `run` was called and when it returned."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.called = self.returned = 0.0

    def run(self, *inputs: np.ndarray) -> Maps:
        self.called = time.perf_counter()
        maps = self._backend.run(*inputs)
        self.returned = time.perf_counter()
        return maps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('bundle', metavar='BUNDLE',
                        help='name of an installed bundle, or a folder')
    parser.add_argument('--backend', nargs='+', metavar='NAME', choices=('auto', *REGISTRY),
                        help=f'of auto, {", ".join(REGISTRY)} (default: all but '
                        f'{", ".join(SLOW_TO_OPEN)})')
    parser.add_argument('--threads', type=int, nargs='+', default=[2], metavar='N',
                        help='CPU cores; several numbers are compared (default: 2)')
    parser.add_argument('--device', type=int, default=0, metavar='N',
                        help='index of the GPU (default: %(default)s)')
    parser.add_argument('--precision', choices=('auto', *DTYPES), default='auto',
                        help='on a GPU (default: the first of them that the bundle has)')
    parser.add_argument('--cache-dir', type=Path, metavar='DIR', help='folder of engines')
    parser.add_argument('--image-size', type=_size, default=(360, 640), metavar='HxW',
                        help="pixels of the camera's image (default: 360x640)")
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help='JPEG or PNG files of your camera instead of drawn pictures')
    parser.add_argument('--input-size', type=_size, metavar='HxW',
                        help='pixels that the network sees: export the bundle in that size '
                        'first, into a temporary folder; needs PyTorch')
    parser.add_argument('--frames', type=_count, default=100, metavar='N',
                        help=f'after at most {WARM_UP} to warm up (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print JSON and nothing else')


def run(args: argparse.Namespace) -> int:
    """Run `vl4ad bench`; return 1 if nothing could be measured."""
    jpegs = _read(args.images) if args.images else _draw(args.image_size)
    with _exported(args) as directory:
        bundle = Bundle.open(directory)
        results, absent = bench(bundle, args, jpegs)
    vision = bundle.vision
    report = {
        'bundle': bundle.name, 'digest': bundle.digest,
        'input_size': [vision.height, vision.width],
        'image_size': [list(size) for size in dict.fromkeys(decode(j).shape[:2] for j in jpegs)],
        'frames': args.frames, 'machine': machine(args.device),
        'results': [asdict(result) for result in results], 'unavailable': absent}
    print(json.dumps(report, indent=2) if args.json else _table(report))
    if not results:
        print('vl4ad: error: no backend could be measured', file=sys.stderr)
    return 0 if results else 1


def bench(bundle: Bundle, args: argparse.Namespace,
          jpegs: Sequence[np.ndarray]) -> tuple[list[Result], dict[str, str]]:
    """Return the results, and why other backends have none."""
    names = args.backend or [name for name in REGISTRY if name not in SLOW_TO_OPEN]
    contenders: list[Contender] = []
    absent: dict[str, str] = {}
    cv_threads = cv2.getNumThreads()
    cv2.setNumThreads(max(args.threads))
    try:
        for name in dict.fromkeys(names):
            for threads in dict.fromkeys(args.threads):
                print(f'{name}, {threads} threads: loading', file=sys.stderr, flush=True)
                options = BackendOptions(threads, args.device, args.precision, args.cache_dir)
                try:
                    contenders.append(Contender(bundle, name, options, decode(jpegs[0])))
                except (BackendError, BundleError) as error:
                    said = str(error)
                    wrapped = f'no backend can be used: {name} ('
                    absent[name] = said[len(wrapped):-1] if said.startswith(wrapped) else said
                    if args.input_size and isinstance(error, EngineMissing):
                        absent[name] = ('an engine belongs to a bundle that stays: run vl4ad '
                                        'export with this --input-size, vl4ad build and vl4ad '
                                        'bench on what it wrote')
                    break
        print(f'{len(contenders)} in turns, {args.frames} frames', file=sys.stderr, flush=True)
        for i in range(args.frames):
            # Nobody is always the one after the same other.
            for k in range(len(contenders)):
                contenders[(i + k) % len(contenders)].process(jpegs[i % len(jpegs)])
                time.sleep(PAUSE_S)
        return [contender.result() for contender in contenders], absent
    finally:
        cv2.setNumThreads(cv_threads)
        for contender in contenders:
            contender.close()


def decode(jpeg: np.ndarray) -> np.ndarray:
    """Return the RGB pixels of a compressed image, as the node decodes it."""
    return cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def machine(device: int) -> dict[str, Any]:
    """Return what the figures depend on besides this package."""
    try:
        gpu = asdict(find_device(device))
    except BackendUnavailable as error:
        gpu = {'absent': str(error)}
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    cores = (len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity')
             else os.cpu_count())
    return {'cpu': _cpu(), 'cores': cores, 'gpu': gpu, 'os': _system(),
            'python': platform.python_version(), 'versions': versions,
            'load_average': round(os.getloadavg()[0], 2),
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds')}


def _cpu() -> str:
    try:
        found = re.search(r'^model name\s*: (.+)$', Path('/proc/cpuinfo').read_text(), re.M)
        if not found:  # ARM
            return Path('/proc/device-tree/model').read_text().strip('\0')
    except OSError:
        return platform.machine()
    return f'{found[1]} ({platform.machine()})'


def _system() -> str:
    try:
        return f'{platform.freedesktop_os_release()["PRETTY_NAME"]}, Linux {platform.release()}'
    except (OSError, KeyError):
        return platform.platform()


def _resident() -> int:
    try:
        return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        return 0


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if not match or not all(1 <= int(side) <= 8192 for side in match.groups()):
        raise argparse.ArgumentTypeError(f"'{text}': give height x width, such as 360x640")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': give a number from 1 on")
    return int(text)


def _draw(size: tuple[int, int]) -> list[np.ndarray]:
    pictures = [draw_still(np.random.default_rng(seed), size, groups=('known', 'masks'),
                           split='test').image for seed in range(_DRAWN)]
    return [cv2.imencode('.jpg', cv2.cvtColor(p, cv2.COLOR_RGB2BGR),
                         [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for p in pictures]


def _read(folder: Path) -> list[np.ndarray]:
    files = sorted(file for file in folder.glob('*')
                   if file.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    if not files:
        raise ValueError(f"'{folder}' holds no JPEG or PNG files")
    images = [np.fromfile(file, np.uint8) for file in files]
    for file, image in zip(files, images):
        if not image.size or cv2.imdecode(image, cv2.IMREAD_COLOR) is None:
            raise ValueError(f"'{file}' is no picture that OpenCV reads")
    return images


@contextmanager
def _exported(args: argparse.Namespace) -> Iterator[str | Path]:
    """Give the bundle, or a copy in the size that was asked for."""
    if args.input_size is None:
        yield args.bundle
        return
    with tempfile.TemporaryDirectory(prefix='vl4ad-bench-') as folder:
        out = Path(folder) / 'bundle'
        # In a process of its own, whose PyTorch takes no part in the figures; progress to stderr.
        command = [sys.executable, '-m', 'vl4ad_ros.cli', 'export', str(args.bundle), '--out',
                   str(out), '--input-size', '{}x{}'.format(*args.input_size),
                   '--sampling', 'gather']
        if args.precision != 'auto':
            command += ['--dtype', args.precision]
        done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise BundleError(f'no bundle of that size: {_last_line(done.stderr)}')
        yield out


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ['vl4ad export failed'])[-1].removeprefix(
        'vl4ad: error: ')


def _table(report: dict[str, Any]) -> str:
    """Return the report as a table for people, in Markdown."""
    results, facts = report['results'], report['machine']
    gpu = facts['gpu']
    several = len({r['threads'] for r in results}) > 1
    rows: list[tuple[str, list[str]]] = [
        ('load, s', [f'{r["load_s"]:.2f}' for r in results]),
        *((f'frame {q}, ms', [f'{r["latency_ms"][q]:.1f}' for r in results])
          for q in ('p50', 'p90', 'p99')),
        ('frames per s', [f'{r["frames_per_s"]:.1f}' for r in results]),
        *((f'{stage}, ms', [f'{r["stages_ms"][stage]:.2f}' if stage in r['stages_ms'] else '-'
                            for r in results])
          for stage in STAGES if any(stage in r['stages_ms'] for r in results)),
        ('host memory, MiB', [str(r['host_mib']) for r in results]),
        ('GPU memory, MiB', ['-' if r['device_mib'] is None else str(r['device_mib'])
                             for r in results])]
    names = [r['backend'] + (f', {r["threads"]} threads' if several else '') for r in results]
    size, images = report['input_size'], report['image_size']
    lines = [
        f'{report["bundle"]}: network {size[0]}x{size[1]}, camera '
        f'{", ".join(f"{h}x{w}" for h, w in images)}, {report["frames"]} frames, backends in turn',
        f'{facts["cpu"]}, {facts["cores"]} cores; GPU: '
        + (gpu['absent'] if 'absent' in gpu else f'{gpu["name"]}, {gpu["driver"]}')
        + f'; {facts["os"]}; Python {facts["python"]}; {facts["date"]}']
    if results:
        lines += ['', '| | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|',
                  *(f'| {what} | ' + ' | '.join(cells) + ' |' for what, cells in rows), '',
                  *dict.fromkeys(r['description'] + (
                      f': {r["deviation"]}' if r['deviation'] else '') for r in results)]
    if report['unavailable']:
        lines += ['', *(f'not measured: {name}: {reason}'
                        for name, reason in report['unavailable'].items())]
    return '\n'.join(lines)


VERB = Verb(add_arguments, run)
