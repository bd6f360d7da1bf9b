# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of inference backends, by what a caller can do about them."""


class BackendError(RuntimeError):
    """A call that failed, or a backend that cannot be had; the next call may succeed."""


class BackendUnavailable(BackendError):
    """The library or its device is not there; the message has the reason and the cure."""


class EngineMissing(BackendError):
    """No engine in the cache fits this bundle and device; the message has the command."""


class DeviceMemoryError(BackendError):
    """The GPU has too little free memory; the message says how much was needed."""


class FatalBackendError(BackendError):
    """The GPU's context is lost for good: only a new process can go on."""
