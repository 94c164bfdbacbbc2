"""The only place for the numbers the protocol caps, with units in their names."""

from typing import Final

_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60 * _SECOND_MS
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

# Events
EVENT_BYTES_MAX: Final = 3 * _MIB
EVENT_VALUES_MAX: Final = 200_000  # ours: more take longer to read than others may be kept waiting
EVENTS_PER_REQUEST_MAX: Final = 5000
REGISTRATION_BYTES_MAX: Final = 16 * _MIB  # ours
EVENT_SCHEMAS_BYTES_MAX: Final = _MIB  # of one app, with its registration
EVENT_NAME_BYTES_MAX: Final = 512  # documented; only the v2 API refuses
EVENT_TS_MS_MIN: Final = 315_532_800_000  # 1980-01-01
EVENT_TS_MS_MAX: Final = 4_102_444_800_000  # 2100-01-01
EVENT_META_BYTES_MAX: Final = 32 * _KIB
SESSIONS_PER_EVENT_MAX: Final = 5
SESSIONS_PER_RUN_MAX: Final = 25
SESSION_KEY_BYTES_MAX: Final = 128
SESSION_ID_BYTES_MAX: Final = 512
TRACE_CONTEXT_CHARS_MAX: Final = 512  # of each of its two values, as W3C asks for at least
IDEMPOTENCY_MS: Final = _DAY_MS

# Calls and replies
CALL_BODY_BYTES_MAX: Final = 4 * _MIB
CALL_MS_MAX: Final = 2 * _HOUR_MS
CALL_REDIRECTS_MAX: Final = 60
REPLY_BODY_BYTES_MAX: Final = 8 * _MIB
RETRY_AFTER_MS_MIN: Final = _SECOND_MS
RETRY_AFTER_MS_MAX: Final = _DAY_MS
RETRIES_DEFAULT: Final = 4
RETRIES_MAX: Final = 20

# Runs and steps
STEP_OUTPUT_BYTES_MAX: Final = 4 * _MIB
STEP_INPUT_BYTES_MAX: Final = 4 * _MIB
RUN_STATE_BYTES_MAX: Final = 32 * _MIB
STEPS_PER_RUN_DEFAULT: Final = 1000
STEPS_PER_RUN_MAX: Final = 10_000
OPERATIONS_PER_REPLY_MAX: Final = 20_000  # ours
STEP_HEADERS_MAX: Final = 1_000  # ours: of a request the server makes for a step
WAIT_MS_MAX: Final = 366 * _DAY_MS
WAIT_MS_DEFAULT: Final = 365 * _DAY_MS  # of signals and invocations that name no timeout
DEFERS_PER_RUN_MAX: Final = 20
DEFER_INPUT_BYTES_MAX: Final = 4 * _MIB
METADATA_SPAN_BYTES_MAX: Final = 64 * _KIB
METADATA_RUN_BYTES_MAX: Final = _MIB
USER_SPANS_BYTES_MAX: Final = 4 * _MIB  # ours: of one run
USER_SPANS_REQUEST_BYTES_MAX: Final = 8 * _MIB
USER_SPANS_REQUEST_MAX: Final = 5_000  # ours
USER_SPANS_VALUES_MAX: Final = 100_000  # ours: numbers, texts, lists, fields of one request in JSON
SCORES_PER_REQUEST_MAX: Final = 100
ERROR_CAUSES_MAX: Final = 16  # ours: how deep a chain of causes is followed
CODE_VERSION_CHARS_MAX: Final = 64  # ours
FUNCTION_DESCRIPTION_CHARS_MAX: Final = 2_000  # ours
ERROR_MESSAGE_CHARS_MAX: Final = 32 * _KIB  # ours, as the next two: beyond is shortened
ERROR_STACK_CHARS_MAX: Final = 64 * _KIB
ERROR_CAUSE_BYTES_MAX: Final = 256 * _KIB

# Function configuration
TRIGGERS_MAX: Final = 10
TRIGGER_CHARS_MAX: Final = 255
CONCURRENCY_MAX: Final = 2
CANCEL_MAX: Final = 5
CRON_JITTER_MS_MIN: Final = _SECOND_MS
CRON_JITTER_MS_MAX: Final = 5 * _MINUTE_MS
BATCH_SIZE_MIN: Final = 2
BATCH_SIZE_MAX: Final = 1000  # ours, as the next two: beyond is refused, nothing is cut off
BATCH_BYTES_MAX: Final = 10 * _MIB
BATCH_TIMEOUT_MS_MAX: Final = _DAY_MS
BATCH_TIMEOUT_MS_MIN: Final = _SECOND_MS
DEBOUNCE_MS_MIN: Final = _SECOND_MS
DEBOUNCE_MS_MAX: Final = 7 * _DAY_MS
RATE_LIMIT_MS_MAX: Final = _DAY_MS
THROTTLE_MS_MIN: Final = _SECOND_MS  # documented; nobody refuses others
THROTTLE_MS_MAX: Final = 7 * _DAY_MS
SINGLETON_MAX: Final = 1000  # ours
BACKLOG_MAX: Final = 10_000  # ours
NAMED_LIMITS_MAX: Final = 5  # ours, as the next five: of one function, or of one step
NAMED_CONCURRENCY_MAX: Final = 1_000_000
NAMED_RATE_MAX: Final = 1_000_000_000
NAMED_WEIGHT_MAX: Final = 1_000_000_000
NAMED_PERIOD_MS_MIN: Final = _SECOND_MS
NAMED_PERIOD_MS_MAX: Final = 7 * _DAY_MS

# Signatures and sync
SIGNATURE_AGE_MS_MAX: Final = 5 * _MINUTE_MS
SYNC_PING_MS_MAX: Final = 10 * _SECOND_MS
REGISTER_MS_MAX: Final = 30 * _SECOND_MS
SEND_ATTEMPTS_MAX: Final = 5
SEND_BACKOFF_MS: Final = 100
