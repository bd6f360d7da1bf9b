# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs independent jobs on a Ray cluster (https://www.ray.io, Apache-2.0), as `workers` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vl4ad_ros.workers import Answer, answer_to, ATTEMPTS, Job, WorkerDied


def run_on_ray(function: Callable[[Job], Answer], jobs: Sequence[Job], address: str,
               cpus: int) -> Iterator[tuple[int, Answer | WorkerDied]]:
    """
    Run a function on each job as a task of Ray, and yield the answers as they come.

    :param function: as in `workers.run_in_processes`. This package must be installed on every
        machine of the cluster, in the same version.
    :param jobs: what it is called with.
    :param address: of the cluster, as `ray.init` takes it; 'local' starts one on this machine,
        which ends with the jobs.
    :param cpus: number of CPUs that one job keeps busy.
    :returns: as `workers.run_in_processes`; Ray gives a job to another process if the first one
        dies.
    :raises Exception: the one that the function raised, if it raised one.
    :raises ConnectionError: if there is no cluster at the address.
    :raises ModuleNotFoundError: if Ray is not installed.
    """
    import ray

    ray.init(address=address, log_to_driver=False, logging_level='ERROR')
    try:
        task: Any = ray.remote(answer_to).options(num_cpus=cpus, max_retries=ATTEMPTS - 1)
        pending = {task.remote(function, job): index for index, job in enumerate(jobs)}
        while pending:
            done, _ = ray.wait(list(pending))
            for reference in done:
                index = pending.pop(reference)
                try:
                    succeeded, answer = ray.get(reference)
                except ray.exceptions.RayError as error:
                    # Nothing that the function raises comes this way.
                    yield index, WorkerDied(f'the process that worked on it ended, {ATTEMPTS} '
                                            f'times ({type(error).__name__})')
                    continue
                if not succeeded:
                    raise answer
                yield index, answer
    finally:
        ray.shutdown()
