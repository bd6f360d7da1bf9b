# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The error of everything that reads or writes bundles."""

from __future__ import annotations

REPAIR = 'reinstall the package or convert the bundle again'
"""What to do about a bundle whose files are damaged; the end of most messages."""


class BundleError(ValueError):
    """A bundle that cannot be used; the message says what was expected, found, and what to do."""

    def __init__(self, message: str) -> None:
        """
        Make the message printable.

        :param message: may contain paths with bytes that are not valid UTF-8, which are escaped.
        """
        super().__init__(message.encode('utf-8', 'backslashreplace').decode('utf-8'))
