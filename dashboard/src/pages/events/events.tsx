/** Events as they arrived, and what each of them started. */

import type { JSX } from "preact";
import { useLocation } from "preact-iso";
import { Refused } from "../../api/http";
import type { Event } from "../../api/model";
import { Search } from "../../condition/search";
import { Newer } from "../../live/newer";
import { LiveToggle } from "../../live/toggle";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { preview } from "../../parts/preview";
import { Select } from "../../parts/select";
import { Sessions } from "../../parts/sessions";
import { Ago } from "../../parts/time";
import { to, toEvent } from "../../place";
import { SPANS } from "../runs/filter";
import {
  EVERY_EVENT,
  type EventFilter,
  eventFilterOf,
  eventSearchOf,
  isEventSearch,
} from "./filter";
import { useEvents } from "./list";
import "./events.css";

export function EventsPage(): JSX.Element {
  const { url, route } = useLocation();
  const filter = eventFilterOf(new URL(url, location.origin).searchParams);
  const change = (next: EventFilter) => route(to("events") + eventSearchOf(next));
  const { events, newer, error, again, more, partial, loadMore } = useEvents(filter);
  const refused = error instanceof Refused && error.message.startsWith("query: ");
  return (
    <>
      <div class="bar">
        <h1>Events</h1>
        <span class="push" />
        {isEventSearch(filter) ? (
          <button type="button" class="button" onClick={again}>
            <Icon name="again" size={14} />
            Search again
          </button>
        ) : (
          <LiveToggle />
        )}
      </div>
      <div class="content">
        <Search
          what="events"
          query={filter.query}
          refused={refused ? error.message : ""}
          onQuery={(query) => change({ ...filter, query })}
        />
        <Filters filter={filter} onChange={change} />
        {error && !refused && <Wrong error={error} again={again} />}
        <Newer count={newer} />
        {events && (events.length > 0 || !partial) && <EventList events={events} filter={filter} />}
        {partial && (
          <p class="partial soft" role="status">
            Two seconds were not enough to look at every event
            {events?.length === 0 ? "; none that was looked at matches" : ""}.
          </p>
        )}
        {more && (
          <button type="button" class="button more" onClick={loadMore}>
            {partial ? "Search on" : "Show more"}
          </button>
        )}
      </div>
    </>
  );
}

interface FiltersProps {
  readonly filter: EventFilter;
  readonly onChange: (filter: EventFilter) => void;
}

function Filters({ filter, onChange }: FiltersProps): JSX.Element {
  const narrowed = eventSearchOf(filter) !== "";
  return (
    <fieldset class="filters">
      <legend class="unseen">Filter</legend>
      <input
        class="input event-search"
        type="search"
        placeholder="Name of an event"
        aria-label="Name of an event"
        value={filter.name}
        onChange={(event) => onChange({ ...filter, name: event.currentTarget.value.trim() })}
      />
      <Select
        label="Time"
        value={filter.last}
        options={SPANS}
        onChange={(last) => onChange({ ...filter, last })}
      />
      <Sessions
        sessions={filter.sessions}
        what="events"
        onChange={(sessions) => onChange({ ...filter, sessions })}
      />
      <button
        type="button"
        class="button"
        aria-pressed={filter.internal}
        title="Those whose names begin with inngest/"
        onClick={() => onChange({ ...filter, internal: !filter.internal })}
      >
        The server's own
      </button>
      {narrowed && (
        <button type="button" class="button plain" onClick={() => onChange(EVERY_EVENT)}>
          <Icon name="close" size={14} />
          Clear
        </button>
      )}
    </fieldset>
  );
}

function EventList({
  events,
  filter,
}: {
  events: readonly Event[];
  filter: EventFilter;
}): JSX.Element {
  if (events.length === 0) return <NoEvents filter={filter} />;
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
          <code class="wide faint">
            <bdi>{preview(event.data ?? {})}</bdi>
          </code>
          <span class="number soft">
            <Ago at={event.receivedAt} />
          </span>
        </a>
      ))}
    </div>
  );
}

function NoEvents({ filter }: { filter: EventFilter }): JSX.Element {
  if (eventSearchOf({ ...filter, internal: false }) !== "") {
    return (
      <Empty icon="search" title="No event matches">
        <p>
          Nothing that is stored fits this filter
          {filter.name && "; names are matched whole, such as order/placed"}.{" "}
          <a href={to("events")}>Show all events</a>.
        </p>
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
