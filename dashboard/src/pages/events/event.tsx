/** One event: what it carried, the runs it started, and the functions it did not start, with why. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useRoute } from "preact-iso";
import { address, Refused } from "../../api/http";
import type { Event } from "../../api/model";
import * as api from "../../api/resources";
import { mayOperate, who } from "../../api/session";
import { useAnswer } from "../../live/answer";
import { commandOf, curlOf, eventOf, pythonOf } from "../../parts/as_code";
import { CopyButton } from "../../parts/copy";
import { CopyMenu, type Way } from "../../parts/copy_menu";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { JsonView } from "../../parts/json";
import { Moment } from "../../parts/time";
import { to } from "../../place";
import { RunList } from "../runs/run_list";
import { SendEvent } from "./send";

/** What is not started is told by no stream. */
const EVERY_MS = 5000;

export function EventPage(): JSX.Element {
  const id = useRoute().params.id ?? "";
  const event = useAnswer(`event/${id}`, (signal) => api.event(id, signal));
  const runs = useAnswer(`event/${id}/runs`, (signal) => api.runsOfEvent(id, signal), {
    on: (changes) => changes.runs.size > 0,
    everyMs: EVERY_MS,
  });
  const [sending, setSending] = useState(false);
  if (event.error instanceof Refused && event.error.status === 404) return <NoSuchEvent id={id} />;
  if (!event.data)
    return (
      <div class="content bar">
        {event.error && <Wrong error={event.error} again={event.again} />}
      </div>
    );
  return (
    <>
      <div class="bar">
        <div class="run-title">
          <a class="back" href={to("events")}>
            Events
          </a>
          <h1>
            <bdi>{event.data.name}</bdi>
          </h1>
        </div>
        <span class="push" />
        <CopyMenu label="Copy as code" ways={waysOf(event.data)} />
        <button
          type="button"
          class="button"
          disabled={!mayOperate()}
          onClick={() => setSending(true)}
        >
          <Icon name="send" size={14} />
          Send again
        </button>
      </div>
      <div class="content">
        <Facts event={event.data} />
        <JsonView value={event.data.data ?? {}} what="the data" />
        <h2>What it started</h2>
        {runs.error && <Wrong error={runs.error} again={runs.again} />}
        {runs.data && runs.data.data.length > 0 && (
          <RunList runs={runs.data.data} narrowed={false} />
        )}
        {runs.data?.notStarted?.map((one) => (
          <div class="notice tone-queued" key={one.function.id}>
            <Icon name="info" />
            <p>
              <strong>{one.function.name}</strong> has no run for it: {one.detail}
            </p>
          </div>
        ))}
        {runs.data && runs.data.data.length === 0 && !runs.data.notStarted?.length && (
          <Empty icon="functions" title="It started nothing">
            <p>
              No function listened for {event.data.name} when it arrived. See what your{" "}
              <a href={to("functions")}>functions</a> listen for.
            </p>
          </Empty>
        )}
      </div>
      {sending && <SendEvent onClose={() => setSending(false)} first={eventOf(event.data)} />}
    </>
  );
}

/** Sending it, as somebody would write it elsewhere. */
function waysOf(event: Event): readonly Way[] {
  const body = { name: event.name, data: event.data ?? {} };
  const keyed = who.value?.byCookie === true;
  return [
    { name: "JSON", text: () => eventOf(event) },
    { name: "Command", text: () => commandOf(event) },
    { name: "curl", text: () => curlOf(address("api/v2/events"), body, keyed) },
    { name: "Python", text: () => pythonOf(event) },
  ];
}

function Facts({ event }: { event: Event }): JSX.Element {
  return (
    <dl class="facts card">
      <div class="fact">
        <dt>Event</dt>
        <dd>
          <code>{event.id}</code>
          <CopyButton text={event.id} what="the event's id" />
        </dd>
      </div>
      {event.externalId && event.externalId !== event.id && (
        <div class="fact">
          <dt>Sender's id</dt>
          <dd>
            <code>
              <bdi>{event.externalId}</bdi>
            </code>
          </dd>
        </div>
      )}
      <div class="fact">
        <dt>Received</dt>
        <dd>
          <Moment at={event.receivedAt} />
        </dd>
      </div>
    </dl>
  );
}

function NoSuchEvent({ id }: { id: string }): JSX.Element {
  return (
    <Empty icon="search" title="No such event" whole>
      <p>
        <code>{id}</code> is not stored here. <a href={to("events")}>See all events</a>.
      </p>
    </Empty>
  );
}
