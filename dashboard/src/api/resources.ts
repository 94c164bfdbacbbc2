/** Every question and every action of the dashboard, by name. All of them are public API. */

import type { Json } from "./exact";
import { ask, query } from "./http";
import type {
  App,
  Bulk,
  Count,
  Cron,
  Durations,
  Event,
  EventSchema,
  Explanation,
  FailureGroup,
  Fn,
  FnVersion,
  Limit,
  LimitNumbers,
  Load,
  LogLine,
  NotStarted,
  Page,
  Run,
  RunStatus,
  ServerTold,
  Storage,
  Trace,
  Tree,
  Usage,
  Worker,
} from "./model";

const COUNTS_AT_ONCE = 1500;

export interface RunsWanted {
  readonly statuses: readonly RunStatus[];
  readonly apps: readonly string[];
  readonly functions: readonly string[];
  readonly from?: string;
  readonly until?: string;
  readonly timeField: "queuedAt" | "startedAt" | "endedAt";
  readonly order: "ASC" | "DESC";
  readonly limit: number;
  readonly cursor?: string;
  /** A condition in CEL. */
  readonly query?: string;
  /** Each as "key=id". */
  readonly sessions?: readonly string[];
  /** Tell how often attempts were tried again. */
  readonly withRetries?: boolean;
}

export const runs = (wanted: RunsWanted, signal?: AbortSignal) =>
  ask<Page<Run>>(
    `api/v2/runs${query({
      status: wanted.statuses,
      appId: wanted.apps,
      functionId: wanted.functions,
      from: wanted.from,
      until: wanted.until,
      timeField: wanted.timeField,
      order: wanted.order,
      limit: wanted.limit,
      cursor: wanted.cursor,
      query: wanted.query,
      session: wanted.sessions,
      includeRetries: wanted.withRetries || undefined,
    })}`,
    signal ? { signal } : {},
  );

/** What the latest runs that completed returned. */
export const latestOutputs = (limit: number, signal?: AbortSignal) =>
  ask<Page<Run>>(
    `api/v2/runs${query({ status: ["COMPLETED"], limit, includeOutput: true })}`,
    signal ? { signal } : {},
  );

export const run = (id: string, signal?: AbortSignal) =>
  one<Run>(`api/v2/runs/${encodeURIComponent(id)}`, signal);

export const trace = (id: string, signal?: AbortSignal) =>
  one<Trace>(`api/v2/runs/${encodeURIComponent(id)}/trace?includeOutput=true`, signal);

/** The runs that began each other, of which this is one. */
export const tree = (id: string, signal?: AbortSignal) =>
  one<Tree>(`api/v2/runs/${encodeURIComponent(id)}/tree`, signal);

/** What the function wrote: the first thousand lines. */
export const logs = (id: string, signal?: AbortSignal) =>
  ask<Page<LogLine>>(
    `api/v2/runs/${encodeURIComponent(id)}/logs${query({ limit: 1000 })}`,
    signal ? { signal } : {},
  );

export const explain = (id: string, signal?: AbortSignal) =>
  one<Explanation>(`api/v2/runs/${encodeURIComponent(id)}/explain`, signal);

export const cancelRun = (id: string) =>
  ask(`api/v2/runs/${encodeURIComponent(id)}/cancel`, { method: "POST" });

/** Lets a run that began under other code go on under that of now. */
export const resumeRun = (id: string) =>
  ask(`api/v2/runs/${encodeURIComponent(id)}/resume`, { method: "POST" });

/** Starts the run anew, or from one of its steps; `input` is JSON text, a list of arguments. */
export async function rerun(id: string, stepId?: string, input?: string): Promise<string> {
  const from = stepId === undefined ? "{}" : fromStep(stepId, input);
  const answer = await ask<{ data: { runId: string } }>(
    `api/v2/runs/${encodeURIComponent(id)}/rerun`,
    { method: "POST", text: from },
  );
  return answer.data.runId;
}

function fromStep(stepId: string, input?: string): string {
  const edited = input === undefined ? "" : `,"input":${input}`;
  return `{"fromStep":{"stepId":${JSON.stringify(stepId)}${edited}}}`;
}

export const apps = (signal?: AbortSignal) => everyPage<App>("api/v2/apps", signal);

export const functionsOf = (app: string, signal?: AbortSignal) =>
  everyPage<Fn>(`api/v2/apps/${encodeURIComponent(app)}/functions`, signal);

/** Every function of every app. */
export async function functions(signal?: AbortSignal): Promise<readonly Fn[]> {
  const known = await apps(signal);
  return (await Promise.all(known.map((app) => functionsOf(app.name, signal)))).flat();
}

/** What a function was registered as, the newest first. */
export const versions = async (app: string, name: string, signal?: AbortSignal) =>
  (
    await ask<Page<FnVersion>>(
      `api/v2/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}/versions`,
      signal ? { signal } : {},
    )
  ).data;

export interface EventsWanted {
  readonly limit: number;
  readonly name?: string;
  readonly from?: string | undefined;
  /** A condition in CEL. */
  readonly query?: string;
  readonly sessions?: readonly string[];
  readonly internal?: boolean;
  readonly cursor?: string | undefined;
}

export const events = (wanted: EventsWanted, signal?: AbortSignal) =>
  ask<Page<Event>>(
    `api/v2/events${query({
      limit: wanted.limit,
      name: wanted.name,
      from: wanted.from,
      query: wanted.query,
      session: wanted.sessions,
      includeInternal: wanted.internal || undefined,
      includeData: true,
      cursor: wanted.cursor,
    })}`,
    signal ? { signal } : {},
  );

export const eventSchemas = (signal?: AbortSignal) =>
  everyPage<EventSchema>("api/v2/event-schemas", signal);

export const event = (id: string, signal?: AbortSignal) =>
  one<Event>(`api/v2/events/${encodeURIComponent(id)}`, signal);

export const runsOfEvent = (id: string, signal?: AbortSignal) =>
  ask<Page<Run> & { notStarted?: readonly NotStarted[] }>(
    `api/v2/events/${encodeURIComponent(id)}/runs?limit=40`,
    signal ? { signal } : {},
  );

/** Sends an event, given as JSON text; gives its id. */
export async function sendEvent(text: string): Promise<string> {
  const answer = await ask<{ data: { eventId: string } }>("api/v2/events", {
    method: "POST",
    text,
  });
  return answer.data.eventId;
}

/** Starts one function with data given as JSON text; gives the run's id. */
export async function invoke(app: string, name: string, data: string): Promise<string> {
  const path = `api/v2/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}/invoke`;
  const answer = await ask<{ data: { runId: string } }>(path, {
    method: "POST",
    text: `{"data":${data}}`,
  });
  return answer.data.runId;
}

export const pause = (app: string, name: string) => paused(app, name, "pause");
export const resume = (app: string, name: string) => paused(app, name, "resume");

const paused = (app: string, name: string, what: string) =>
  ask<Json>(
    `api/v2/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}/${what}`,
    { method: "POST" },
  );

export const workers = (signal?: AbortSignal) => everyPage<Worker>("api/v2/workers", signal);

/** Which runs something is done to; the words are those of the list. */
export interface BulkFilter {
  readonly status?: readonly RunStatus[];
  readonly appId?: readonly string[];
  readonly functionId?: readonly string[];
  readonly from?: string;
  readonly until?: string;
  /** What `from` and `until` are about: `queuedAt` where it is not given. */
  readonly timeField?: string;
  readonly query?: string;
  readonly session?: readonly string[];
  /** Why events were skipped, where those are meant. */
  readonly reason?: readonly string[];
}

export const countBulk = (
  filter: BulkFilter,
  signal?: AbortSignal,
  action: Bulk["action"] = "rerun",
) =>
  ask<{ data: { count: number; more: boolean } }>("api/v2/bulk/count", {
    method: "POST",
    text: JSON.stringify({ filter, action }),
    ...(signal ? { signal } : {}),
  });

export const startBulk = (action: Bulk["action"], filter: BulkFilter, rate: number) =>
  ask<{ data: Bulk }>("api/v2/bulk", {
    method: "POST",
    text: JSON.stringify({ action, filter, rate }),
  });

export const bulks = (signal?: AbortSignal) =>
  ask<Page<Bulk>>("api/v2/bulk?limit=5", signal ? { signal } : {});

export const latestBulks = (signal?: AbortSignal) =>
  ask<Page<Bulk>>("api/v2/bulk?limit=20", signal ? { signal } : {});

export const stopBulk = (id: string) =>
  ask(`api/v2/bulk/${encodeURIComponent(id)}/cancel`, { method: "POST" });

export const limits = (signal?: AbortSignal) => everyPage<Limit>("api/v2/limits", signal);

export const setLimit = (name: string, numbers: LimitNumbers) =>
  ask(`api/v2/limits/${encodeURIComponent(name)}`, {
    method: "POST",
    text: JSON.stringify(numbers),
  });

export const resetLimit = (name: string) =>
  ask(`api/v2/limits/${encodeURIComponent(name)}`, { method: "DELETE" });

/** What becomes of times of schedules that fall due while no server runs. */
export const catchUp = async (signal?: AbortSignal) =>
  (
    await ask<{ catchUp?: "skip" | "one" | "all" }>(
      "api/v2/crons?limit=1",
      signal ? { signal } : {},
    )
  ).catchUp;

export const crons = (signal?: AbortSignal) => everyPage<Cron>("api/v2/crons", signal);

/** Counts of runs since a moment; of each function where `byFunction`. */
export const counts = (
  from: string,
  resolution: "minute" | "hour",
  byFunction: boolean,
  signal?: AbortSignal,
) =>
  everyPage<Count>(
    `api/v2/counts${query({ from, resolution, by: byFunction ? "function" : "time" })}`,
    signal,
    COUNTS_AT_ONCE,
  );

export const failures = (from: string, signal?: AbortSignal) =>
  ask<Page<FailureGroup>>(`api/v2/failures${query({ from, limit: 8 })}`, signal ? { signal } : {});

export const durations = (from: string, signal?: AbortSignal) =>
  ask<Page<Durations>>(`api/v2/durations${query({ from, limit: 100 })}`, signal ? { signal } : {});

export const load = (signal?: AbortSignal) =>
  ask<Page<Load>>("api/v2/load", signal ? { signal } : {});

export const usage = (app: string, name: string, signal?: AbortSignal) =>
  one<Usage>(
    `api/v2/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}/usage`,
    signal,
  );

/** Counts of one function, by the hour. */
export const countsOf = (app: string, name: string, from: string, signal?: AbortSignal) =>
  everyPage<Count>(
    `api/v2/counts${query({ from, resolution: "hour", appId: app, functionId: name })}`,
    signal,
    COUNTS_AT_ONCE,
  );

export const server = (signal?: AbortSignal) => one<ServerTold>("api/v2/server", signal);

export const storage = (signal?: AbortSignal) => one<Storage>("api/v2/storage", signal);

async function one<Item>(path: string, signal?: AbortSignal): Promise<Item> {
  return (await ask<{ data: Item }>(path, signal ? { signal } : {})).data;
}

async function everyPage<Item>(
  path: string,
  signal?: AbortSignal,
  limit = 100,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<Item> = await ask(
      path + query({ limit, cursor }).replace("?", path.includes("?") ? "&" : "?"),
      signal ? { signal } : {},
    );
    all.push(...page.data);
    cursor = page.page?.hasMore ? page.page.cursor : undefined;
  } while (cursor);
  return all;
}
