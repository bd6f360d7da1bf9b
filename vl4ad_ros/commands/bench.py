# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad bench`: measure the latency of a frame on each backend, in one run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
import json
import os
from pathlib import Path
import platform
import re
import sys
import time
from typing import Any

import cv2
import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import load_reference, Maps, measure
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.backend import (
    Backend, BackendOptions, open_backend, PROVIDERS, REGISTRY, removal, REMOVED)
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable
from vl4ad_ros.inference.tensorrt.cuda import find_device
from vl4ad_ros.obstacles.pipeline import Pipeline

STAGES = ('decode', 'resize', 'upload', 'network', 'download', 'upsample', 'mask', 'obstacles')
"""The stages of a frame, in their order. A backend on a CPU has no ``upload`` and ``download``."""
WARM_UP, WARM_UP_S = 10, 10.0
"""Number of frames of the warm-up, and seconds after which it ends in any case."""
THRESHOLD = 0.5
"""Score above which a pixel is anomalous."""
PAUSE_S = 0.02
"""
Seconds of rest after each frame.

The worker threads of one backend wait for work for a moment before they sleep. Without the pause
they would take CPU time from the backend that is measured next.
"""
_LIBRARIES = ('numpy', 'opencv-python-headless', 'openvino', 'onnxruntime', 'onnxruntime-gpu',
              'tensorrt', 'cuda-python')


@dataclass
class Result:
    """
    What was measured of one backend.

    :ivar backend: name of the backend.
    :ivar threads: CPU threads of one inference.
    :ivar description: library, version, precision and device.
    :ivar load_s: seconds to load the networks, encode the prompts and warm up.
    :ivar host_mib: MiB by which the memory of this process grew, with the libraries.
    :ivar device_mib: MiB of GPU memory that the backend holds; None on a CPU.
    :ivar deviation: deviation from the bundle's reference frames; '' if it has none.
    :ivar latency_ms: p50, p90, p99 and mean latency in ms of a frame, with JPEG decoding.
    :ivar frames_per_s: frames per second if one follows another at once.
    :ivar stages_ms: median duration in ms of each stage.
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
    """One backend with the processing around it, as in the node, and its measured times."""

    def __init__(self, bundle: Bundle, name: str, options: BackendOptions,
                 image: np.ndarray) -> None:
        """
        Open a backend and warm it up.

        :param bundle: the opened bundle.
        :param name: ``'auto'`` or a key of `REGISTRY`.
        :param options: what the backend may use.
        :param image: uint8 (H, W, 3) RGB, the image of the warm-up.
        :raises BackendError: if the backend cannot be used.
        :raises BundleError: if the bundle does not fit.
        """
        before, start = _resident(), time.perf_counter()
        self._backend = _Timed(open_backend(bundle, name, options))
        self._pipeline = Pipeline()
        self._rows: list[dict[str, float]] = []
        try:
            self._detector = Detector(bundle, self._backend)
            self._prompts = self._detector.encode(bundle.vocabulary)
            warm_until = time.perf_counter() + WARM_UP_S
            for _ in range(WARM_UP):
                self._detector.detect(image, self._prompts)
                if time.perf_counter() > warm_until:
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
        """
        Process one compressed image, from decoding to obstacles.

        :param jpeg: uint8 (n,), the bytes of a JPEG or PNG file.
        """
        clock = time.perf_counter
        start = clock()
        image = decode(jpeg)
        decoded = clock()
        prediction = self._detector.detect(image, self._prompts)
        called, returned = self._backend.called, self._backend.returned
        prediction.score
        upsampled = clock()
        prediction.mask(THRESHOLD)
        masked = clock()
        # The stamps of a camera at 10 Hz, for which tracking never starts anew.
        stamp_ns = 10 ** 8 * (1 + len(self._rows))
        self._pipeline.process(prediction, stamp_ns, stamp_ns)
        end = clock()
        row = {'decode': decoded - start, 'resize': called - decoded,
               'upsample': upsampled - returned, 'mask': masked - upsampled,
               'obstacles': end - masked, 'frame': end - start}
        self._rows.append({**{k: 1e3 * v for k, v in row.items()}, **self._backend.stages})

    def result(self) -> Result:
        """Return what was measured, over all frames so far."""
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
        """Close the backend."""
        self._backend.close()


class _Timed:
    """A backend that records when `run` was called last and when it returned."""

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
    parser.add_argument('--backend', nargs='+', metavar='NAME', type=_backend,
                        default=list(REGISTRY),
                        help=f'any of auto, {", ".join(REGISTRY)} (default: all but auto)')
    parser.add_argument('--provider', choices=PROVIDERS, default='cpu',
                        help='where onnxruntime runs the image network (default: %(default)s)')
    parser.add_argument('--threads', type=int, nargs='+', default=[2], metavar='N',
                        help='CPU threads; several numbers are compared (default: 2)')
    parser.add_argument('--device', type=int, default=0, metavar='N',
                        help='index of the NVIDIA GPU (default: %(default)s)')
    parser.add_argument('--precision', choices=('auto', *DTYPES), default='auto',
                        help='precision on a GPU (default: the first of these that the bundle '
                        'has)')
    parser.add_argument('--cache-dir', type=Path, metavar='DIR',
                        help='folder of engines (default: $XDG_CACHE_HOME/vl4ad_ros/engines)')
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help="folder of JPEG or PNG files of your camera (default: the bundle's "
                        'reference frames)')
    parser.add_argument('--image-size', type=_size, metavar='HxW',
                        help='resize the images to the size of your camera first, such as '
                        '1080x1920 (default: their own size)')
    parser.add_argument('--frames', type=_count, default=100, metavar='N',
                        help=f'number of frames after a warm-up of at most {WARM_UP} frames '
                        '(default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print only JSON')


def run(args: argparse.Namespace) -> int:
    """Run `vl4ad bench`; return 1 if no backend could be measured."""
    bundle = Bundle.open(args.bundle)
    jpegs = _encoded_images(bundle, args.images, args.image_size)
    results, unavailable = bench(bundle, args, jpegs)
    vision = bundle.vision
    report = {
        'bundle': bundle.name, 'digest': bundle.digest,
        'input_size': [vision.height, vision.width],
        'image_size': [list(size) for size in dict.fromkeys(decode(j).shape[:2] for j in jpegs)],
        'frames': args.frames, 'machine': machine(args.device),
        'results': [asdict(result) for result in results], 'unavailable': unavailable}
    print(json.dumps(report, indent=2) if args.json else _table(report))
    if not results:
        print('vl4ad: error: no backend could be measured', file=sys.stderr)
    return 0 if results else 1


def bench(bundle: Bundle, args: argparse.Namespace,
          jpegs: Sequence[np.ndarray]) -> tuple[list[Result], dict[str, str]]:
    """
    Measure the backends in turns, one frame each.

    :param bundle: the opened bundle.
    :param args: the arguments of the verb.
    :param jpegs: the images, each uint8 (n,), the bytes of a JPEG or PNG file.
    :returns: the results, and by the name of each other backend the reason why it has none.
    """
    contenders: list[Contender] = []
    unavailable: dict[str, str] = {}
    cv_threads = cv2.getNumThreads()
    cv2.setNumThreads(max(args.threads))
    try:
        for name in dict.fromkeys(args.backend):
            for threads in dict.fromkeys(args.threads):
                print(f'{name}, {threads} threads: loading', file=sys.stderr, flush=True)
                options = BackendOptions(threads, args.device, args.precision, args.cache_dir,
                                         onnxruntime_provider=args.provider)
                try:
                    contenders.append(Contender(bundle, name, options, decode(jpegs[0])))
                except (BackendError, BundleError) as error:
                    unavailable[name] = str(error)
                    break
        print(f'{len(contenders)} backends in turns, {args.frames} frames', file=sys.stderr,
              flush=True)
        for i in range(args.frames):
            # Another backend begins each round, so that none always follows the same other one.
            for k in range(len(contenders)):
                contenders[(i + k) % len(contenders)].process(jpegs[i % len(jpegs)])
                time.sleep(PAUSE_S)
        return [contender.result() for contender in contenders], unavailable
    finally:
        cv2.setNumThreads(cv_threads)
        for contender in contenders:
            contender.close()


def decode(jpeg: np.ndarray) -> np.ndarray:
    """
    Decode a compressed image as the node does.

    :param jpeg: uint8 (n,), the bytes of a JPEG or PNG file.
    :returns: uint8 (H, W, 3), RGB.
    :raises ValueError: if OpenCV cannot read it.
    """
    bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError('this is no JPEG or PNG image that OpenCV can read')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def machine(device: int) -> dict[str, Any]:
    """
    Describe the machine, because the results depend on it.

    :param device: index of the NVIDIA GPU.
    :returns: CPU, cores, GPU, operating system, versions of libraries, load average and date.
    """
    try:
        gpu: dict[str, Any] = asdict(find_device(device))
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
    """Return the model of the CPU and its architecture."""
    try:
        found = re.search(r'^model name\s*: (.+)$', Path('/proc/cpuinfo').read_text(), re.M)
        if not found:  # ARM
            return Path('/proc/device-tree/model').read_text().strip('\0')
    except OSError:
        return platform.machine()
    return f'{found[1]} ({platform.machine()})'


def _system() -> str:
    """Return the name and version of the operating system."""
    try:
        return f'{platform.freedesktop_os_release()["PRETTY_NAME"]}, Linux {platform.release()}'
    except (OSError, KeyError):
        return platform.platform()


def _resident() -> int:
    """Return the bytes of this process in memory; 0 if the system does not tell."""
    try:
        return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        return 0


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if not match or not all(1 <= int(side) <= 8192 for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no size; give height x width, such as 360x640")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 on")
    return int(text)


def _backend(text: str) -> str:
    if text in REMOVED:
        raise argparse.ArgumentTypeError(removal(text))
    if text not in ('auto', *REGISTRY):
        raise argparse.ArgumentTypeError(
            f"there is no backend '{text}'; choose from auto, {', '.join(REGISTRY)}")
    return text


def _encoded_images(bundle: Bundle, folder: Path | None,
                    size: tuple[int, int] | None) -> list[np.ndarray]:
    """
    Return the images to measure with, as the bytes of JPEG or PNG files.

    :param bundle: its reference frames are the images if `folder` is None.
    :param folder: folder of JPEG or PNG files.
    :param size: rows and columns to which the images are resized; None keeps their size.
    :raises ValueError: if the folder has no images, or one that cannot be read.
    :raises BundleError: if there is no folder and the bundle has no reference frames.
    """
    if folder is not None:
        images = _read(folder)
        if size is None:
            return images
        pixels = [decode(image) for image in images]
    elif bundle.reference is None:
        raise BundleError(f'{bundle.directory} has no reference frames to measure with; give '
                          '--images DIR, a folder of JPEG or PNG files of your camera, or add '
                          f'reference frames with: vl4ad export {bundle.directory}')
    else:
        pixels = list(load_reference(bundle).images)
    if size is not None:
        pixels = [cv2.resize(image, size[::-1]) for image in pixels]
    return [cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                         [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for image in pixels]


def _read(folder: Path) -> list[np.ndarray]:
    """Return the bytes of all JPEG and PNG files of a folder, after decoding each once."""
    files = sorted(file for file in folder.glob('*')
                   if file.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    if not files:
        raise ValueError(f"'{folder}' has no JPEG or PNG files; give a folder of images")
    images = [np.fromfile(file, np.uint8) for file in files]
    for file, image in zip(files, images):
        if not image.size or cv2.imdecode(image, cv2.IMREAD_COLOR) is None:
            raise ValueError(f"'{file}' is no image that OpenCV can read; remove it from the "
                             'folder')
    return images


def _table(report: dict[str, Any]) -> str:
    """Return the report as text with a table in Markdown."""
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
        f'{", ".join(f"{h}x{w}" for h, w in images)}, {report["frames"]} frames, in turns',
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
