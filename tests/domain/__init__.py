"""The deciders, tested without I/O: given these events, when that is asked, then this happens."""

import pytest

pytest.register_assert_rewrite("tests.domain.decider")
