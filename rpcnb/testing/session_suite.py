"""`SessionSuite`: what every `RPCSession` must do, as tests that a subclass runs on its own.

Subclass it in a test file, give it a fixture `session`, and set the flags of what it cannot do::

    class TestMySession(SessionSuite):
        has_callbacks = False

        @pytest.fixture
        def session(self):
            with my_session() as session:
                yield session

The serving side must have `rpcnb.testing.session_functions` registered.
"""

from __future__ import annotations

from rpcnb.testing.session_cases_calls import CallCases
from rpcnb.testing.session_cases_control import ControlCases
from rpcnb.testing.session_cases_data import DataCases
from rpcnb.testing.session_cases_promises import PromiseCases


class SessionSuite(CallCases, ControlCases, DataCases, PromiseCases):
    """All cases.  The flags stand in `rpcnb.testing.session_cases.SessionCases`."""
