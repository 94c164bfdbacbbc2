"""A sync, the answer to PUT: in the answer itself, or by a request of our own to the server."""

import msgspec

from stepwell.sdk.errors import ErrorCode
from stepwell.sdk.serve import answer, gate, introspect, register
from stepwell.sdk.serve.effect import ApiRequests, Steps
from stepwell.sdk.serve.request import ServeRequest, public_url
from stepwell.sdk.serve.served import Served
from stepwell.sdk.serve.setup import Setup
from stepwell.sdk.settings import cloud_hint
from stepwell.wire import header
from stepwell.wire.execution import CallResponse
from stepwell.wire.registration import MalformedRegistration, SyncAnswer, decode_sync_asked


def synced(
    served: Served, setup: Setup, request: ServeRequest, judged: gate.Passed | gate.Refused
) -> Steps:
    """The answer to PUT; None if the request has no right to one."""
    signed = isinstance(judged, gate.Passed)
    in_band = register.is_in_band(
        request.headers.get(header.SYNC_KIND), setup.settings, setup.serve
    )
    if isinstance(judged, gate.Refused) and (in_band or not setup.serve.unauthed_sync):
        gate.note_refusal(served.log, request, judged)
        return None
    mismatch = gate.kind_mismatch(request, setup.settings)
    if mismatch is not None:
        served.log.error(mismatch)
        return answer.message_answer(400, mismatch, ErrorCode.SERVER_KIND_MISMATCH.value)
    if in_band and signed:
        return _in_band(served, setup, request)
    return (yield from _out_of_band(served, setup, request, signed))


def _in_band(served: Served, setup: Setup, request: ServeRequest) -> CallResponse:
    try:
        asked = decode_sync_asked(request.body)
    except MalformedRegistration as error:
        return answer.message_answer(400, str(error), "invalid_request")
    if not asked.url:
        text = 'the body of an in-band sync must be {"url": "..."}'
        return answer.message_answer(400, text, "invalid_request")
    url = public_url(asked.url, {}, setup.serve)
    body = register.in_band_body(
        served.app(),
        served.table.configs(url),
        url,
        setup.settings,
        introspect.inspection(served, setup),
    )
    return CallResponse(200, body, {header.SYNC_KIND: header.SYNC_IN_BAND})


def _out_of_band(served: Served, setup: Setup, request: ServeRequest, signed: bool) -> Steps:
    url = public_url(request.url, request.headers, setup.serve)
    app, configs = served.app(), served.table.configs(url)
    about = {
        "deploy_id": request.query.get(header.QUERY_DEPLOY_ID),
        "server_kind": request.headers.get(header.SERVER_KIND),
    }
    outcome = yield ApiRequests((register.registration_request(app, configs, url, **about),))
    if isinstance(outcome, list) and register.refuses_framework(outcome[0]):
        app = msgspec.structs.replace(app, framework=register.FRAMEWORK_PLAIN)
        again = register.registration_request(app, configs, url, **about)
        outcome = yield ApiRequests((again,))
    if isinstance(outcome, Exception):
        origin = setup.settings.api_origin
        why = f"Failed to register with {origin}: {outcome}{cloud_hint(origin)}"
        status, told = 500, SyncAnswer(why)
    else:
        assert isinstance(outcome, list)
        status, told = register.registration_outcome(outcome[0])
        for warning in register.registration_warnings(outcome[0]):
            served.log.warning("%s", warning)
    if status == 200:
        served.log.debug("registered %d functions at %s", len(served.table), url)
    else:
        served.log.error("registration failed: %s", told.message)
    if not signed:
        told = register.untold(status, told)
    sync_kind = {header.SYNC_KIND: header.SYNC_OUT_OF_BAND}
    return CallResponse(status, register.sync_body(told), sync_kind)
