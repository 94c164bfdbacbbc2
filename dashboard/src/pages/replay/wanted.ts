/** What is to be done again, as it stands in the address, and as the API is asked for it. Pure. */

import type { Bulk, RunStatus } from "../../api/model";
import type { BulkFilter } from "../../api/resources";

export const ENDED: readonly RunStatus[] = ["FAILED", "CANCELLED", "COMPLETED"];

/** Why an event started no run: the first ones are meant unless others are chosen. */
export const REASONS: readonly (readonly [reason: string, word: string])[] = [
  ["FunctionPaused", "Paused"],
  ["Singleton", "Singleton"],
  ["FunctionBacklogSizeLimitHit", "Backlog full"],
  ["RateLimit", "Rate limit"],
  ["Idempotency", "Idempotency"],
  ["Debounce", "Debounced"],
  ["DebounceOld", "Older than the debounced"],
];
const USUAL = REASONS.slice(0, 4).map(([reason]) => reason);

export const SPANS: readonly (readonly [name: string, word: string, ms: number])[] = [
  ["1h", "Last hour", 3_600_000],
  ["24h", "Last 24 hours", 86_400_000],
  ["7d", "Last 7 days", 604_800_000],
];
export const RATE = 50;
export const RATE_MAX = 2000;

export interface Wanted {
  readonly app: string;
  readonly fn: string;
  readonly what: "runs" | "events";
  readonly statuses: readonly RunStatus[];
  readonly reasons: readonly string[];
  /** How far back, in place of two moments (ISO 8601). */
  readonly last: string;
  readonly from: string;
  readonly until: string;
  readonly rate: string;
}

export const NOTHING: Wanted = {
  app: "",
  fn: "",
  what: "runs",
  statuses: ["FAILED"],
  reasons: USUAL,
  last: "24h",
  from: "",
  until: "",
  rate: String(RATE),
};

/** What an address asks for. What is not understood is left out. */
export function wantedOf(search: URLSearchParams): Wanted {
  const from = instant(search.get("from"));
  const until = instant(search.get("until"));
  const last = search.get("last") ?? "";
  const named = SPANS.some(([name]) => name === last) ? last : NOTHING.last;
  return {
    app: search.get("app") ?? "",
    fn: search.get("function") ?? "",
    what: search.get("what") === "events" ? "events" : "runs",
    statuses: chosen(ENDED, search.getAll("status")) ?? NOTHING.statuses,
    reasons:
      chosen(
        REASONS.map(([reason]) => reason),
        search.getAll("reason"),
      ) ?? USUAL,
    last: from || until ? "" : named,
    from,
    until,
    rate: search.get("rate") ?? NOTHING.rate,
  };
}

function chosen<One extends string>(
  all: readonly One[],
  names: readonly string[],
): readonly One[] | undefined {
  const found = all.filter((one) => names.includes(one));
  return found.length > 0 ? found : undefined;
}

function instant(text: string | null): string {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}

/** The address of it: only what differs. */
export function searchOf(wanted: Wanted): string {
  const search = new URLSearchParams();
  if (wanted.app) search.set("app", wanted.app);
  if (wanted.fn) search.set("function", wanted.fn);
  if (wanted.what === "events") {
    search.set("what", "events");
    if (String(wanted.reasons) !== String(USUAL))
      for (const reason of wanted.reasons) search.append("reason", reason);
  } else if (String(wanted.statuses) !== String(NOTHING.statuses))
    for (const status of wanted.statuses) search.append("status", status);
  if (wanted.from) search.set("from", wanted.from);
  if (wanted.until) search.set("until", wanted.until);
  if (wanted.last && wanted.last !== NOTHING.last) search.set("last", wanted.last);
  if (wanted.rate !== NOTHING.rate) search.set("rate", wanted.rate);
  const text = search.toString();
  return text && `?${text}`;
}

/** What is wrong with it, or nothing. */
export function wrongWith(wanted: Wanted): string {
  const pace = Number(wanted.rate);
  if (!Number.isInteger(pace) || pace < 1 || pace > RATE_MAX)
    return `The pace is a number from 1 to ${RATE_MAX.toLocaleString("en")}`;
  if (wanted.from && wanted.until && wanted.until <= wanted.from)
    return "The end comes after the beginning";
  return "";
}

export const actionOf = (wanted: Wanted): Bulk["action"] =>
  wanted.what === "events" ? "replay" : "rerun";

/** What the API is asked for. */
export function filterOf(wanted: Wanted, nowMs: number): BulkFilter {
  const back = SPANS.find(([name]) => name === wanted.last)?.[2];
  const from = back ? new Date(nowMs - back).toISOString() : wanted.from;
  return {
    appId: [wanted.app],
    functionId: [wanted.fn],
    ...(from ? { from } : {}),
    ...(wanted.until ? { until: wanted.until } : {}),
    ...(wanted.what === "events" ? { reason: wanted.reasons } : { status: wanted.statuses }),
  };
}
