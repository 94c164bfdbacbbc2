/** Events as they arrived, and what each of them started. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Event } from "../../api/model";
import { Newer } from "../../live/newer";
import { LiveToggle } from "../../live/toggle";
import { Empty, Wrong } from "../../parts/empty";
import { Ago } from "../../parts/time";
import { toEvent } from "../../place";
import { useEvents } from "./list";
import "./events.css";

export function EventsPage(): JSX.Element {
  const [name, setName] = useState("");
  const { events, newer, error, again, more, loadMore } = useEvents(name);
  return (
    <>
      <div class="bar">
        <h1>Events</h1>
        <span class="push" />
        <LiveToggle />
      </div>
      <div class="content">
        <input
          class="input event-search"
          type="search"
          placeholder="Name of an event"
          aria-label="Name of an event"
          data-search
          value={name}
          onChange={(event) => setName(event.currentTarget.value.trim())}
        />
        {error && <Wrong error={error} again={again} />}
        <Newer count={newer} />
        {events && <EventList events={events} searched={name !== ""} />}
        {more && (
          <button type="button" class="button more" onClick={loadMore}>
            Show more
          </button>
        )}
      </div>
    </>
  );
}

function EventList({
  events,
  searched,
}: {
  events: readonly Event[];
  searched: boolean;
}): JSX.Element {
  if (events.length === 0) return <NoEvents searched={searched} />;
  return (
    <div class="rows card events">
      <div class="row-head" aria-hidden="true">
        <span>Event</span>
        <span class="wide">Data</span>
        <span class="number">Received</span>
      </div>
      {events.map((event) => (
        <a class="row" key={event.id} href={toEvent(event.id)}>
          <bdi class="strong">{event.name}</bdi>
          <code class="wide faint">{preview(event)}</code>
          <span class="number soft">
            <Ago at={event.receivedAt} />
          </span>
        </a>
      ))}
    </div>
  );
}

function preview(event: Event): string {
  const text = JSON.stringify(event.data ?? {}, (_name, value) =>
    typeof value === "string" && value.length > 80 ? `${value.slice(0, 80)}…` : value,
  );
  return text.slice(0, 200);
}

function NoEvents({ searched }: { searched: boolean }): JSX.Element {
  if (searched) {
    return (
      <Empty icon="search" title="No event of that name">
        <p>Names are matched whole, such as order/placed.</p>
      </Empty>
    );
  }
  return (
    <Empty icon="events" title="No events yet">
      <p>Events arrive from your code, from a webhook, or from here: press n to send one.</p>
      <pre>
        <code>{'await client.send(stepwell.Event(name="order/placed", data={"order": 1}))'}</code>
      </pre>
    </Empty>
  );
}
