/** What the list of runs shows, as it stands in the address. Pure. */

import type { RunStatus } from "../../api/model";
import { isSession } from "../../parts/session_name";
import { type Column, columnsOf, namesOf, USUAL } from "./columns";

export const STATUSES: readonly RunStatus[] = [
  "QUEUED",
  "RUNNING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
];

/** How far back the list goes, in milliseconds; 0 is all of it. */
export const SPANS: readonly (readonly [name: string, word: string, ms: number])[] = [
  ["", "All time", 0],
  ["1h", "Last hour", 3_600_000],
  ["24h", "Last 24 hours", 86_400_000],
  ["7d", "Last 7 days", 604_800_000],
];

/** Which time of a run: it is queued, then started, then ended. */
export type RunTime = "queuedAt" | "startedAt" | "endedAt";

/** How an address and the page call them. */
export const TIMES: readonly (readonly [time: RunTime, name: string, word: string])[] = [
  ["queuedAt", "queued", "Queued"],
  ["startedAt", "started", "Started"],
  ["endedAt", "ended", "Ended"],
];

export interface Filter {
  readonly statuses: readonly RunStatus[];
  readonly app: string;
  readonly fn: string;
  readonly last: string;
  /** Between two moments, ISO 8601, in place of `last`. */
  readonly from: string;
  readonly until: string;
  /** The time that is meant. */
  readonly time: RunTime;
  readonly oldestFirst: boolean;
  /** A condition in CEL over `event`, `output` and `error`. */
  readonly query: string;
  /** Sessions that the event belongs to, each as "key=id". */
  readonly sessions: readonly string[];
  readonly columns: readonly Column[];
}

/** Every run, the newest first. */
export const EVERYTHING: Filter = {
  statuses: [],
  app: "",
  fn: "",
  last: "",
  from: "",
  until: "",
  time: "queuedAt",
  oldestFirst: false,
  query: "",
  sessions: [],
  columns: USUAL,
};

/** The filter of an address. What is not understood is left out, so that an old link still works. */
export function filterOf(search: URLSearchParams): Filter {
  const from = instant(search.get("from"));
  const until = instant(search.get("until"));
  const last = from || until ? "" : (search.get("last") ?? "");
  return {
    statuses: STATUSES.filter((one) => search.getAll("status").includes(one)),
    app: search.get("app") ?? "",
    fn: search.get("function") ?? "",
    last: SPANS.some(([name]) => name === last) ? last : "",
    from,
    until: from && until && until <= from ? "" : until,
    time: TIMES.find(([, name]) => name === search.get("time"))?.[0] ?? "queuedAt",
    oldestFirst: search.get("order") === "oldest",
    query: search.get("query")?.trim() ?? "",
    sessions: search.getAll("session").filter(isSession),
    columns: columnsOf(search.get("columns")),
  };
}

/** A moment in the one form that moments are compared in. */
function instant(text: string | null): string {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}

/** The address of a filter: only what differs from showing everything. */
export function searchOf(filter: Filter): string {
  const search = new URLSearchParams();
  for (const status of filter.statuses) search.append("status", status);
  if (filter.app) search.set("app", filter.app);
  if (filter.fn) search.set("function", filter.fn);
  if (filter.last) search.set("last", filter.last);
  if (filter.from) search.set("from", filter.from);
  if (filter.until) search.set("until", filter.until);
  const time = TIMES.find(([one]) => one === filter.time)?.[1];
  if (time && filter.time !== "queuedAt") search.set("time", time);
  if (filter.oldestFirst) search.set("order", "oldest");
  if (filter.query) search.set("query", filter.query);
  for (const session of filter.sessions) search.append("session", session);
  const columns = namesOf(filter.columns);
  if (columns !== undefined) search.set("columns", columns);
  const text = search.toString();
  return text && `?${text}`;
}

/** The filter in a few words, for the button that changes its time. */
export function timeWords(filter: Filter, told: (iso: string) => string): string {
  const word = TIMES.find(([one]) => one === filter.time)?.[2] ?? "";
  if (filter.from || filter.until) {
    const from = filter.from && `from ${told(filter.from)}`;
    const until = filter.until && `until ${told(filter.until)}`;
    return [word, from, until].filter(Boolean).join(" ");
  }
  const span = SPANS.find(([name]) => name === filter.last)?.[1] ?? "";
  return filter.time === "queuedAt" ? span : `${word}, ${span.toLowerCase()}`;
}

/** Whether anything is left out by it. */
export const narrows = (filter: Filter): boolean =>
  searchOf({ ...filter, oldestFirst: false, columns: USUAL }) !== "";

/** Whether runs are looked at one by one for it. */
export const isSearch = (filter: Filter): boolean =>
  filter.query !== "" || filter.sessions.length > 0;

/** The moment from which on runs are shown; nothing where all are. */
export function fromOf(filter: Filter, nowMs: number): string | undefined {
  if (filter.from) return filter.from;
  const back = SPANS.find(([name]) => name === filter.last)?.[2] ?? 0;
  return back > 0 ? new Date(nowMs - back).toISOString() : undefined;
}
