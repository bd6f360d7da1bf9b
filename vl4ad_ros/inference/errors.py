# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of inference backends, one class for each way in which a caller can react."""


class BackendError(RuntimeError):
    """A backend could not be opened, or one call failed; the next call may succeed."""


class BackendUnavailable(BackendError):
    """The library or its device is missing; the message says why and what to install or set."""


class EngineMissing(BackendError):
    """No engine in the cache fits this bundle and GPU; the message contains the build command."""


class DeviceMemoryError(BackendError):
    """The GPU has too little free memory; the message says how much was needed."""


class FatalBackendError(BackendError):
    """The GPU context of this process is lost; only a new process can use the GPU again."""
