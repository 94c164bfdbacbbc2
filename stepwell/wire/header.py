"""The only place for the names of headers and query parameters and the server kinds.

Names are lower case: both HTTP stacks of the project hand them over so, and compare them so.
"""

import re
from typing import Final, Literal, TypeAlias

SDK: Final = "x-inngest-sdk"
SDK_HANDLED: Final = "x-inngest-sdk-handled"
FRAMEWORK: Final = "x-inngest-framework"
PLATFORM: Final = "x-inngest-platform"
ENV: Final = "x-inngest-env"
REQ_VERSION: Final = "x-inngest-req-version"
SERVER_KIND: Final = "x-inngest-server-kind"
EXPECTED_SERVER_KIND: Final = "x-inngest-expected-server-kind"
SYNC_KIND: Final = "x-inngest-sync-kind"
SIGNATURE: Final = "x-inngest-signature"
NO_RETRY: Final = "x-inngest-no-retry"
EVENT_ID_SEED: Final = "x-inngest-event-id-seed"
STEP_ID: Final = "x-inngest-step-id"
JOB_ID: Final = "x-inngest-job-id"
GENERATION_ID: Final = "x-inngest-generation-id"
FORCE_STEP_PLAN: Final = "x-inngest-force-step-plan"
ATTEMPT: Final = "x-stepwell-attempt"
"""Ours, and the next two: to durable endpoints, which are told nothing in a body."""
MAX_ATTEMPTS: Final = "x-stepwell-max-attempts"
KEEPS_LOGS: Final = "x-stepwell-keeps-logs"
CHANGES: Final = "x-stepwell-changes"
"""Where the server's changes stood before an answer of v2 was read."""
RUN_ID: Final = "x-run-id"
REQUEST_ID: Final = "x-request-id"
ACCOUNT_ID: Final = "account-id"
RETRY_AFTER: Final = "retry-after"
AUTHORIZATION: Final = "authorization"
CONTENT_TYPE: Final = "content-type"
USER_AGENT: Final = "user-agent"
SERVER_TIMING: Final = "server-timing"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

QUERY_FUNCTION_ID: Final = "fnId"
QUERY_STEP_ID: Final = "stepId"
QUERY_DEPLOY_ID: Final = "deployId"
QUERY_PROBE: Final = "probe"
INTERNAL_QUERY: Final = frozenset({QUERY_FUNCTION_ID, QUERY_STEP_ID, QUERY_DEPLOY_ID, QUERY_PROBE})

PROBE_TRUST: Final = "trust"
JSON: Final = "application/json"
SERVER_USER_AGENT: Final = "Inngest"
SDK_NAME: Final = "inngest-py"

ServerKind: TypeAlias = Literal["dev", "cloud"]
SERVER_DEV: Final = "dev"
SERVER_CLOUD: Final = "cloud"

SYNC_IN_BAND: Final = "in_band"
SYNC_OUT_OF_BAND: Final = "out_of_band"

REQUEST_VERSION: Final = 2
"""The version of the execution protocol this package speaks."""
REQUEST_VERSION_UNKNOWN: Final = -1
"""What a call carries until the SDK has answered its run once with operations."""


def server_kind(text: str | None) -> ServerKind | None:
    """The kind a header names; None if absent or unknown."""
    if text == "dev":
        return "dev"
    return "cloud" if text == "cloud" else None


def request_version(text: str | None) -> int:
    """`X-Inngest-Req-Version` of a reply; 0 (legacy scheduling) if absent or no version."""
    found = _VERSION.fullmatch((text or "").strip())
    return 0 if found is None else int(found.group())


_VERSION = re.compile(r"-?[0-9]{1,3}")


def is_no_retry(text: str | None) -> bool:
    """Whether `X-Inngest-No-Retry` forbids another try: only the exact text `true` does."""
    return text == "true"
