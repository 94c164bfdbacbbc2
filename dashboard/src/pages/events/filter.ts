/** What the list of events shows, as it stands in the address. Pure. */

import { isSession } from "../../parts/session_name";
import { SPANS } from "../runs/filter";

export interface EventFilter {
  /** A whole name; empty for all. */
  readonly name: string;
  readonly last: string;
  /** A condition in CEL over `event`. */
  readonly query: string;
  /** Sessions that it belongs to, each as "key=id". */
  readonly sessions: readonly string[];
  /** The server's own events, too. */
  readonly internal: boolean;
}

export const EVERY_EVENT: EventFilter = {
  name: "",
  last: "",
  query: "",
  sessions: [],
  internal: false,
};

/** The filter of an address. What is not understood is left out, so that an old link still works. */
export function eventFilterOf(search: URLSearchParams): EventFilter {
  const last = search.get("last") ?? "";
  return {
    name: search.get("name")?.trim() ?? "",
    last: SPANS.some(([name]) => name === last) ? last : "",
    query: search.get("query")?.trim() ?? "",
    sessions: search.getAll("session").filter(isSession),
    internal: search.get("internal") === "true",
  };
}

/** The address of a filter: only what differs from showing everything. */
export function eventSearchOf(filter: EventFilter): string {
  const search = new URLSearchParams();
  if (filter.name) search.set("name", filter.name);
  if (filter.last) search.set("last", filter.last);
  if (filter.query) search.set("query", filter.query);
  for (const session of filter.sessions) search.append("session", session);
  if (filter.internal) search.set("internal", "true");
  const text = search.toString();
  return text && `?${text}`;
}

/** Whether events are looked at one by one for it. */
export const isEventSearch = (filter: EventFilter): boolean =>
  filter.query !== "" || filter.sessions.length > 0;

/** The moment from which on events are shown; nothing where all are. */
export function eventsFrom(filter: EventFilter, nowMs: number): string | undefined {
  const back = SPANS.find(([name]) => name === filter.last)?.[2] ?? 0;
  return back > 0 ? new Date(nowMs - back).toISOString() : undefined;
}
