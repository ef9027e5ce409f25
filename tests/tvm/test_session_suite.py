"""The session contract on TVM's own server."""

from __future__ import annotations

import pytest

from rpcnb.testing.session_suite import SessionSuite


class TestTVMSession(SessionSuite):
    """What the flags take away is what TVM's protocol or server does not have."""

    has_callbacks = False
    has_progress = False
    has_output = False
    has_cancel = False
    has_deadlines = False
    has_streams = False
    has_generators = False
    has_kwargs = False
    has_files = False  # no listing, and no confinement: tests/tvm/test_remote.py moves files
    has_modules = False  # compiled ones only
    has_true_async = False
    has_process = False
    has_containers = False
    has_typed_errors = False
    has_catalogue = False
    has_array_work = False
    has_queue = False
    has_process_statistics = False
    has_device_names = False

    @pytest.fixture
    def session(self, open_session):
        return open_session()
