"""Lines of level WARNING and above that tests of a file write on purpose, by what they say.

A line that is expected of one test alone is named there: `@pytest.mark.logs`. Those here are what
several tests of a file have in common, or what one case of a parametrised test writes.
"""

OF_FILES: dict[str, tuple[str, ...]] = {
    "tests/attack/test_damaged_log.py": (r"a\.db-wal, the log, ends after \d+ of \d+ pages",),
    "tests/attack/test_database_taken.py": (
        "^EventsReceived was refused: .+ is no longer where it was opened",
        "^EventsReceived was refused: another program holds the write lock",
        r"^over, after \d+ more: ",
        # Runs that were under way when the database went.
        "^(ReplyReceived|WorkAsked|InvokeAsked|LeaseLost) was refused: ",
        "^(a call|what a call answered) ",
        "is no longer where it was opened",
    ),
    "tests/attack/test_poison.py": (
        r'^HandlerExit in function "shop-plain',
        r'^ThreadExit in function "shop-',
        "the driver of shop failed",
    ),
    "tests/compat/test_sdk_transcripts.py": (
        'ValueError in function "demo-invoke-child-fails--child": child broke',
        'ValueError in function "demo-fn-error-on-failure": function always fails',
        'RuntimeError in function "demo-step-retry-ok": first try fails',
        'RuntimeError in function "demo-step-exhausted-caught": always fails',
        'RetryAfterError in function "demo-retry-after": come back later',
        'NonRetriableError in function "demo-non-retriable-step": step must not be tried',
        'NonRetriableError in function "demo-non-retriable": do not try again',
        'function_not_found: Could not find function with ID "demo-unknown"',
        "^(GET|POST|PUT) request refused: the (header X-Inngest-Signature is missing|signature )",
        "^Sync rejected since it's from Cloud but expected Dev Server",
    ),
    "tests/dashboard/test_tour.py": (
        'RuntimeError in function "studio-sync-ledger": the ledger did not take the entry',
        'NonRetriableError in function "studio-charge-card": the card was declined',
    ),
    "tests/dashboard/test_why.py": (
        r'RetryAfterError in function "[a-z]+-fails": not now',
        r'RetryAfterError in function "[a-z]+-cools": 429',
        "^function (museum-gone|atlantis-lost) is served no longer",
        "^app http://127.0.0.1:9: unreachable: ",
    ),
    "tests/events/test_a10_variables.py": (
        "GET request refused: the signature does not match: the peer us",
        "PUT request refused: the header X-Inngest-Signature is missing",
    ),
    "tests/events/test_d05_versions.py": (
        'EventValidationError in function "shop-takes": Event "shop/mad',
    ),
    "tests/events/test_e01_structure.py": ('ValueError in function "shop-doomed": no',),
    "tests/events/test_e105_validation.py": (
        'ConfigurationError in function "shop-waits": step "paid": even',
        'EventValidationError in function "shop-a": Event "shop/paid" f',
        'EventValidationError in function "shop-b": Event "shop/paid" f',
        'EventValidationError in function "shop-c": Event "shop/paid" f',
        'EventValidationError in function "shop-takes": Event "inngest/',
        'EventValidationError in function "shop-takes": Event "shop/bar',
        'EventValidationError in function "shop-takes": Event "shop/pai',
        'EventValidationError in function "shop-takes": Event "shop/unk',
        'EventValidationError in function "shop-takes": Event "user/cre',
        'EventValidationError in function "shop-takes": Event "x" has a',
        'EventValidationError in function "shop-takes": Event "x" has n',
        'EventValidationError in function "shop-takes": Event not found',
        "event 'a' is large: .+ bytes; servers may refuse more tha",
    ),
    "tests/events/test_e150_errors.py": (
        'Declined in function "shop-blocking": declined: no cover',
        'Declined in function "shop-coroutine": declined: no cover',
        r'FileNotFoundError in function "shop-pay": \[Errno 2\] gone',
        'Frozen in function "shop-pay": 7',
        "KeyError in function \"shop-blocking\": 'card'",
        "KeyError in function \"shop-coroutine\": 'card'",
        'NonRetriableError in function "shop-ends": never',
        "POST request refused: the header X-Inngest-Signature is missin",
        'Refused in function "shop-pay": no cover',
        'Slotted in function "shop-pay": no',
        'ValueError in function "shop-blocking": other',
        'ValueError in function "shop-breaks": again',
        'ValueError in function "shop-coroutine": other',
        'ValueError in function "shop-order": declined',
        'ValueError in function "shop-order": no hope',
        "body_invalid: the request body is not a call: JSON is malforme",
        'function_not_found: Could not find function with ID "shop-gone',
    ),
    "tests/events/test_e170_internal.py": (
        'ValueError in function "shop-doomed": no stock',
        'ValueError in function "shop-doomed": other',
        'ValueError in function "shop-doomed-failure": nor can this be ',
        r'ValueError in function "shop-inngest-function\.failed": listene',
        r'ValueError in function "shop-inngest-function\.finished": liste',
    ),
    "tests/events/test_e173_cancelled_code.py": (
        "function shop-coroutine of run .+ was ",
        "function shop-plain of run .+ was canc",
        "function shop-plain-step of run .+ was",
        "the lease of a request was refused; its result may be discarde",
    ),
    "tests/events/test_e180_development.py": (
        r"registration failed: Failed to register with http://.+\.0\.0\.1:",
    ),
    "tests/events/test_e20_schemas.py": (
        'EventValidationError in function "shop-pay": Event "inngest/fu',
    ),
    "tests/events/test_e40_constructors.py": (
        'EventValidationError in function "shop-child": Event "inngest/',
        'run .+ waits in step "stop" for an eve',
    ),
    "tests/events/test_e90_reception.py": (
        'ValueError in function "shop-f": nope',
        'function_not_found: Could not find function with ID "shop-x"; ',
    ),
    "tests/events/test_seed.py": ('ValueError in function "shop-pay": declined',),
    "tests/interop/test_connect.py": (
        "a worker at .+ is refused: it does not show the signing key",
        "unauthorized: the server refused every signing key this worker",
    ),
    "tests/migration/test_celery.py": (
        r'Declined in function "shop-tests\.migration\.celery_shop\.charge": no money',
        r'LookupError in function "shop-tests\.migration\.celery_shop\.reserve": no kiwi',
        "NonRetriableError in function .+ expired before it was run",
    ),
    "tests/serving/test_adapter.py": (
        r"Broken\.body\(\) failed, needed because signatures are made over ",
        "GET request refused: the header X-Inngest-Signature is missing",
        r"InProduction\.body\(\) failed, needed because signatures are made",
        r"Slowly\.body\(\) failed, needed because signatures are made over ",
    ),
    "tests/serving/test_endpoint.py": (
        "GET request refused: the header X-Inngest-Signature is missing",
        'NonRetriableError in function "app-never": not ever',
        "POST request refused: the header X-Inngest-Signature is missin",
        "PUT request refused: the header X-Inngest-Signature is missing",
        'RetryAfterError in function "app-later": not now',
        "Sync rejected since it's from Cloud but expected Dev Server: t",
        "Sync rejected since it's from a Dev Server but expected Cloud:",
        'function_not_found: Could not find function with ID "app-unkno',
        "registration failed: App ID required",
        r"""registration failed: the server's answer is not understood: \[n""",
    ),
    "tests/serving/test_frameworks.py": (
        r"registration failed: Failed to register with http://.+\.0\.0\.1:",
    ),
    "tests/serving/test_guards.py": (
        "^POST /api/inngest was answered with 401 by the application",
        "^Unauthorized: /",
    ),
    "tests/serving/test_request_environment.py": (
        "GET request refused: the signature does not match: the peer us",
        "POST request refused: the header X-Inngest-Signature is missin",
        "POST request refused: the signature does not match: the peer u",
        "signing_key_unspecified: Serving functions in cloud mode needs",
    ),
    "tests/serving/test_routes.py": (
        "Internal Server Error: /wait/fails",
        "Service Unavailable: /wait/double",
        'ValueError in function "shop-fails": not for strangers',
    ),
    "tests/unit/django/test_serving.py": (
        "Forbidden: /api/other",
        "Internal Server Error: /api/inngest",
        r"Not Found: /x\.y/inngest/z",
        "Not Found: /xzy/inngest",
    ),
    "tests/unit/django/test_tasks.py": (
        "Internal Server Error: /api/inngest",
        'OddError in function "shop-django-tasks": on purpose',
        r"Task id=.+ path=tests\.django_project\.s",
    ),
    "tests/unit/sdk/middleware/test_declared.py": (
        r"send\(\) called with no events: nothing was sent",
    ),
    "tests/unit/sdk/middleware/test_paths.py": ('NonRetriableError in function "app-f": sealed',),
    "tests/unit/sdk/middleware/test_sentry.py": (
        'ValueError in function "app-failing": no stock',
        'ValueError in function "app-failing_step": no stock',
        'ValueError in function "app-failing_step_sync": no stock',
        'ValueError in function "app-failing_sync": no stock',
    ),
    "tests/unit/sdk/realtime/test_subscription.py": (
        "^realtime: the connection is lost and made again: gone$",
    ),
    "tests/unit/sdk/serve/test_handler.py": (
        "GET request refused: the header X-Inngest-Signature is missing",
        "body_invalid: Missing request body when executing, possibly du",
        r"registration failed: Failed to register with http://s\.test: no",
        "unknown: The run's state could not be fetched: gone",
        "unknown: The run's state is not understood: the steps of the r",
    ),
    "tests/unit/cli/test_doctor.py": (
        "function shop-order is served no longer; runs of it wait: stepwell doctor",
    ),
    "tests/unit/cli/test_v2_verbs.py": (r'"shop-odd": throttle\.limit 0 counts as 1',),
    "tests/unit/sdk/test_experimental.py": (
        "KeyError in function \"my-app-caught\": 'no stock'",
        "KeyError in function \"my-app-test\": 'no stock'",
        'RuntimeError in function "my-app-caught": gave up',
        'ValueError in function "my-app-test": no stock',
    ),
    "tests/unit/server/api/test_access.py": (
        "a registration was refused: Invalid request: Input data was trun",
        r"^/\S+ is refused to 127\.0\.0\.1: it takes the signing key",
    ),
    "tests/unit/server/api/test_checkpoint.py": (
        r"^/v1/checkpoint/group is refused to 127\.0\.0\.1: it takes the sig",
    ),
    "tests/unit/server/api/test_polling.py": (
        r"app http://localhost:\d+/api/inngest: (.+: )?(bad day|Unauthorized)",
    ),
    "tests/unit/server/api/test_register.py": ("a registration was refused: ",),
    "tests/unit/server/api/test_awaited.py": ("a registration was refused: App ID required",),
    "tests/unit/server/api/test_endpoint_runs.py": (
        r"^/v1/checkpoint is refused to 127\.0\.0\.1: it takes the signing key",
    ),
    "tests/unit/server/api/test_mcp.py": (
        "a registration was refused: App ID required",
        r"^/mcp is refused to 127\.0\.0\.1: it takes the signing key",
    ),
    "tests/unit/server/api/test_realtime.py": (
        r"^/v1/realtime/token is refused to 127\.0\.0\.1: it takes the signing key",
        # What uvicorn says of every socket that is refused with an answer.
        r"ASGI callable returned without completing handshake\.",
    ),
    "tests/unit/server/api/test_v2.py": (r"priority\.run .+ gives a string, which counts as 0",),
    "tests/unit/server/api/test_v2_limits.py": (
        "a registration was refused: At least one function is invalid",
    ),
    "tests/unit/server/drivers/test_http_pool.py": ("Unhandled exception in client_connected_cb",),
    "tests/unit/server/front/test_http_protocol.py": (
        "Exception in ASGI application",
        r"\d+ connections were refused: 2 are open, the most there may b",
    ),
    "tests/unit/server/gateway/test_gateway.py": (
        r"a worker \(hand\) introduces itself badly: Expected `array`, g",
        r"a worker \(hand\) introduces itself badly: Input data was trun",
        r"a worker \(hand\) introduces itself badly: JSON is malformed: ",
        r"a worker \(hand\) is refused: 11 apps, at most 10 may share a ",
        r"a worker \(hand\) is refused: not a token",
    ),
    "tests/unit/server/gateway/test_scenarios.py": (
        r"a worker at 127\.0\.0\.1:.+ does not read; its connection is",
    ),
    "tests/unit/server/runtime/test_janitor.py": (
        "clean-up has a fault and was put off",
        "clean-up was put off: a fault of ours",
        "clean-up was put off: no disk",
        r"function shop-work is served no longer: \d+ runs failed",
        r"old code of function shop-work is served no longer: \d+ runs failed",
    ),
    "tests/unit/server/runtime/test_runtime.py": (
        "ReplyReceived was refused: a value fits no row",
        "ReplyReceived was refused: the disk is full",
        "WorkAsked was refused: no disk",
        "a call of run .+ did not begin",
        r"a listener of run\.ended failed",
        r"over, after \d+ more: no disk",
        r"over, after \d+ more: the disk is full",
        "the driver of shop failed",
        "the engine could not decide ReplyReceived",
    ),
    "tests/unit/server/store/sqlite/test_keeper.py": ("cannot copy the log of .+ back",),
    "tests/unit/server/store/test_postgres_store.py": (
        # Connections are ended under the store: whoever uses one just then says so.
        "^could not say that this server is alive: ",
        "^error ignored terminating <psycopg",
    ),
    "tests/unit/testing/harness/test_harness.py": ('Declined in function "shop-order": no',),
    "tests/unit/testing/harness/test_replay.py": (
        "KeyError in function \"old-ended\": 'x'",
        'ValueError in function "old-broken": cannot go on after a',
    ),
    "tests/unit/testing/harness/test_stubs.py": (
        'Declined in function "shop-order": no',
        'TimeoutError in function "shop-order": ',
    ),
    "tests/unit/server/test_ledger.py": (
        "EventsReceived was refused: locked",
        "EventsReceived was refused: no disk",
        "EventsReceived was refused: the disk is full",
        "EventsReceived was refused: the engine could not decide Even",
        "EventsReceived was refused: the store has a fault: a fault o",
        r"over, after \d+ more: locked",
        r"over, after \d+ more: no disk",
        "the engine could not decide EventsReceived",
    ),
}

OF_FOLDERS: dict[str, tuple[str, ...]] = {
    # Worlds in which processes die, disks are full and rows are another's.
    "tests/simulation/": (
        "^[A-Z][A-Za-z]+ was refused: ",
        r"^over, after \d+ more: ",
        "the driver of sim failed",
        "^[a-z-]+ was put off: ",
    ),
    # What looks by itself may find the file gone, or not have looked yet.
    "tests/attack/test_database_taken.py": ("a cancellation was put off: ",),
    # What the shop of these tests cannot do.
    "tests/dashboard/": (
        'ValueError in function "shop-refund": the customer has no account',
        'RetryAfterError in function "shop-search": nothing in drawer ',
    ),
    # What the contract of adapters does to each of them, and what their frameworks say of it.
    "tests/contract/adapters/": (
        'ValueError in function "contract-fails": on purpose',
        "^body_invalid: ",
        'function_not_found: Could not find function with ID "contract-unknown"',
        "query_param_missing: the query lacks fnId",
        "^(GET|POST|PUT) request refused: ",
        "registration failed: At least one function is invalid",
        "Sync rejected since it's from Cloud but expected Dev Server",
        "unknown: The run's state could not be fetched: ",
        # Clients that leave in the middle of a call.
        r"^Error handling request from 127\.0\.0\.1$",
        '^Unhandled exception - "POST /api/inngest',
        r"^Task queue depth is \d+$",
    ),
}
"""The same for all files of a folder."""

OF_SERVERS: tuple[str, ...] = (
    "^this is a container, so every interface is listened on",
    # An app of a recording that was made with the other kind of server.
    "^a registration was refused: Expected server kind dev, got cloud$",
    # An app that `-u` names is looked for before it listens.
    r"^app http://\S+: unreachable: ",
    # Where a process may open few files.
    r"^at most \d+ connections are taken instead of ",
)
"""What servers write that tests start as processes."""
