"""API keys: which are let in, what a refusal says, and what they cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from api import auth
from api.auth import CHALLENGED, Authenticator, KeyUsage
from api.commands import api_keys as key_commands
from api.errors import Unauthenticated
from domain.project import ProjectCreated
from eventstore.secrets import SecretBox
from eventstore.store import StoreUnavailable
from projections import api_keys
from projections.api_keys import ApiKeyView
from tests.api.asking import PROJECT, Api, Asked, make_key
from tests.shapes import CALLER, SECRET_KEY
