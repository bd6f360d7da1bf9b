# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing and running an inference library; needs onnxruntime, no rclpy or GPU."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from vl4ad_ros.runtime.backends import BackendError, BackendOptions, open_backend
from vl4ad_ros.runtime.bundle import Bundle


@pytest.fixture(scope='module')
def bundle(mock_bundle) -> Bundle:
    """Return the opened mock bundle."""
    return Bundle.open(mock_bundle)


def inputs(bundle: Bundle) -> list[np.ndarray]:
    """Return zeros for the vision network."""
    return [np.zeros(t.shape, t.dtype) for t in bundle.vision_signature.inputs]


@pytest.mark.parametrize('name', ['auto', 'onnxruntime'])
def test_outputs_are_what_the_manifest_says(bundle, name):
    backend = open_backend(bundle, name, options=BackendOptions(threads=1))
    assert backend.name == 'onnxruntime'
    for value, expected in zip(backend.run(*inputs(bundle)), bundle.vision_signature.outputs):
        assert (value.dtype.name, value.shape) == (expected.dtype, expected.shape)
    assert backend.encode_text(np.zeros((3, 24), np.int64)).shape == (3, bundle.text.embed_dim)


def test_unknown_backend_lists_the_others(bundle):
    with pytest.raises(BackendError, match="no backend 'caffe'; backends: auto, tensorrt"):
        open_backend(bundle, 'caffe')


@pytest.mark.parametrize('name', ['auto', 'onnxruntime'])
def test_absent_library_is_named_with_the_cure(bundle, monkeypatch, name):
    monkeypatch.delitem(sys.modules, 'vl4ad_ros.runtime.backends.onnxruntime')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(BackendError, match='no backend can be used: .*pip install onnxruntime'):
        open_backend(bundle, name)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match='threads must be at least 1, not 0'):
        BackendOptions(threads=0)


def test_failing_run_says_which_library(bundle):
    backend = open_backend(bundle, options=BackendOptions(threads=1))
    image, *others = inputs(bundle)
    with pytest.raises(BackendError, match='onnxruntime .* failed'):
        backend.run(image[:-1], *others)
    assert len(backend.run(image, *others)) == 3  # and works again


def test_closed_backend_says_so(bundle):
    backend = open_backend(bundle, options=BackendOptions(threads=1))
    backend.close()
    with pytest.raises(BackendError, match='closed'):
        backend.run(*inputs(bundle))
    with pytest.raises(BackendError, match='closed'):
        backend.encode_text(np.zeros((1, 24), np.int64))
