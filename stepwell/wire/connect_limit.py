"""Every number the worker connection fixes: sizes in bytes, times in seconds, the codes of a close.

The rest of the protocol's limits live in `wire/limit.py`; these two files are the only places.
"""

from typing import Final

SUBPROTOCOL: Final = "v0.connect.inngest.com"

# Sizes. A gateway reads at most 8 MiB (4 MiB of input and 4 MiB of output); a call's payload is at
# most 4 MiB, so a worker that reads 16 MiB is never too small even for another server's limits.
GATEWAY_READ_BYTES_MAX: Final = 8_388_608
# What a socket may say in one message before anybody knows that a worker is behind it.
STRANGER_READ_BYTES_MAX: Final = 262_144
STRANGERS_MAX: Final = 512
WORKER_READ_BYTES_MAX: Final = 16_777_216
START_BODY_BYTES_MAX: Final = 1_048_576
CLOSE_REASON_BYTES_MAX: Final = 123

APPS_PER_CONNECTION_MAX: Final = 10

# Times.
HEARTBEAT_S: Final = 10.0
EXTEND_LEASE_S: Final = 30.0
# What a worker assumes when the gateway names no interval: the shortest any server has used.
EXTEND_LEASE_FALLBACK_S: Final = 5.0
LEASE_S: Final = 120.0
INTERVAL_MIN_S: Final = 0.05
INTERVAL_MAX_S: Final = 60.0
GATEWAY_HELLO_TIMEOUT_S: Final = 5.0
GATEWAY_HEARTBEATS_MISSED_MAX: Final = 5
GATEWAY_DRAIN_S: Final = 25.0
WORKER_START_TIMEOUT_S: Final = 10.0
WORKER_DIAL_TIMEOUT_S: Final = 10.0
WORKER_HELLO_TIMEOUT_S: Final = 10.0
WORKER_READY_TIMEOUT_S: Final = 30.0
WORKER_BEATS_UNANSWERED_MAX: Final = 2
REPLY_ACK_TIMEOUT_S: Final = 5.0
SESSION_TOKEN_S: Final = 300.0

# Close codes and the only reasons that travel with them.
CLOSE_NORMAL: Final = 1000
CLOSE_GOING_AWAY: Final = 1001
CLOSE_NO_STATUS: Final = 1005
CLOSE_ABNORMAL: Final = 1006
CLOSE_BAD_DATA: Final = 1007
CLOSE_POLICY: Final = 1008
CLOSE_TOO_BIG: Final = 1009
CLOSE_INTERNAL: Final = 1011
CLOSE_WORKER_FAILED: Final = 4001

REASON_WORKER_SHUTDOWN: Final = "WORKER_SHUTDOWN"
REASON_UNEXPECTED: Final = "UNEXPECTED"
REASON_GATEWAY_CLOSING: Final = "connect_gateway_closing"
REASON_HELLO_TIMEOUT: Final = "connect_worker_hello_timeout"
REASON_HELLO_INVALID: Final = "connect_worker_hello_invalid_msg"
REASON_HELLO_PAYLOAD: Final = "connect_worker_hello_invalid_payload"
REASON_AUTH_FAILED: Final = "connect_authentication_failed"
REASON_TOO_MANY_APPS: Final = "connect_too_many_apps_per_connection"
REASON_INTERNAL: Final = "connect_internal_error"
REASON_BAD_FRAME: Final = "failed to unmarshal Protobuf"
REASON_BAD_ACK: Final = "connect_worker_request_ack_invalid_payload"
REASON_BAD_EXTEND: Final = "connect_worker_request_extend_lease_invalid_payload"
REASON_TOO_LARGE: Final = "MESSAGE_TOO_LARGE"
REASON_HEARTBEATS_MISSED: Final = "CONSECUTIVE_HEARTBEATS_MISSED"

# The name of the extension by which a worker saves steps while its call goes on.
EXTENSION_CHECKPOINT: Final = "checkpoint"
