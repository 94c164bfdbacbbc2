/** What the API answers (REST v2). Times are ISO 8601 in UTC. */

import type { Json } from "./exact";

export type RunStatus = "QUEUED" | "RUNNING" | "COMPLETED" | "FAILED" | "CANCELLED";
export type SpanStatus = RunStatus | "WAITING";

export interface Named {
  readonly id: string;
  readonly name: string;
}

export interface Run {
  readonly id: string;
  readonly status: RunStatus;
  readonly app: Named;
  readonly function: Named;
  readonly trigger: {
    readonly eventIds?: readonly string[];
    readonly eventName?: string;
    readonly cron?: string;
  };
  readonly queuedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly originalRunId?: string;
  readonly isDeferred?: boolean;
  /** How often its attempts were tried again, where it was asked for. */
  readonly retries?: number;
  readonly output?: Json;
}

export interface Span {
  readonly id: string;
  readonly name: string;
  readonly status: SpanStatus;
  readonly stepId?: string;
  readonly stepOp?: string;
  readonly attempt?: number;
  readonly queuedAt?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly durationMs?: number;
  /** A sentence for people. */
  readonly detail?: string;
  /** The list of a step's arguments. */
  readonly input?: Json;
  readonly output?: Json;
  readonly children: readonly Span[];
}

/** Where the time of a run went, in milliseconds; no moment counts twice. */
export interface Spent {
  readonly queuedMs: number;
  readonly codeMs: number;
  readonly requestsMs: number;
  readonly waitingMs: number;
  readonly retryingMs: number;
  readonly betweenMs: number;
}

export interface Trace {
  readonly runId: string;
  readonly rootSpan: Span;
  /** Servers that were built before this page do not tell it. */
  readonly spent?: Spent;
  readonly code?: Code;
}

/** The code that a run began under, and that of its function now, as far as somebody says. */
export interface Code {
  readonly began?: string;
  readonly now?: string;
}

/** A run among runs that began each other. */
export interface TreeRun {
  readonly run: Run;
  readonly how?: "invoked" | "deferred" | "failed";
  readonly stepId?: string;
  readonly stepName?: string;
  readonly children?: readonly TreeRun[];
}

export interface Tree {
  readonly runId: string;
  readonly root: TreeRun;
  /** There are more. */
  readonly isCut: boolean;
}

/** A line that the function wrote with `ctx.logger`. */
export interface LogLine {
  readonly at: string;
  readonly level: string;
  readonly text: string;
  readonly stepId?: string;
  readonly stepName?: string;
  /** Counted from 0; left out for the first. */
  readonly attempt?: number;
}

/** A line of the log of one of many runs. */
export interface RunLine extends LogLine {
  readonly runId: string;
}

/** Something a run is at, or waits for. */
export interface Open {
  readonly name: string;
  readonly status: SpanStatus;
  /** A sentence. */
  readonly text: string;
  readonly stepOp?: string;
  readonly attempt?: number;
  /** A word for what keeps work that is due. */
  readonly reason?: string;
  readonly since?: string;
}

/** Why a run stands where it stands. */
export interface Explanation {
  readonly text: string;
  readonly open: readonly Open[];
}

export interface App {
  readonly id: string;
  readonly name: string;
  readonly method: "SERVE" | "CONNECT" | "API";
  readonly functionCount: number;
  readonly createdAt: string;
  readonly appVersion?: string;
  readonly latestSync?: {
    readonly framework?: string;
    readonly sdkLanguage?: string;
    readonly sdkVersion?: string;
    readonly url?: string;
    readonly error?: string;
    readonly syncedAt?: string;
  };
}

/** A process that connected and takes work. */
export interface Worker {
  readonly id: string;
  readonly instanceId: string;
  readonly apps: readonly { name: string; functionCount: number; version?: string }[];
  readonly status: "CONNECTED" | "READY" | "DRAINING";
  readonly connectedAt: string;
  readonly lastHeartbeatAt: string;
  readonly capacity: number;
  readonly inUse: number;
  readonly sdkLanguage?: string;
  readonly sdkVersion?: string;
  readonly os?: string;
}

export interface Trigger {
  readonly type: "EVENT" | "CRON";
  readonly value: string;
  readonly if?: string;
}

export interface Fn {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly app: Named;
  readonly triggers: readonly Trigger[];
  readonly configuration: { readonly [option: string]: Json };
  readonly description?: string;
  readonly isPaused?: boolean;
  readonly createdAt?: string;
  readonly version?: number;
  /** What is probably a mistake, a sentence each. */
  readonly warnings?: readonly string[];
}

/** What a function was registered as from a time on. */
export interface FnVersion {
  readonly version: number;
  readonly createdAt: string;
  /** What its app called its own version. */
  readonly appVersion?: string;
  readonly name: string;
  readonly description?: string;
  readonly triggers: readonly Trigger[];
  readonly configuration: { readonly [option: string]: Json };
  readonly codeVersion?: string;
  readonly onCodeChange?: string;
}

export interface Event {
  readonly id: string;
  readonly name: string;
  readonly data?: Json;
  readonly user?: Json;
  readonly ts: number;
  readonly receivedAt: string;
  /** The sender's id, if it gave one. */
  readonly externalId?: string;
}

/** How an app describes an event: JSON Schemas. */
export interface EventSchema {
  readonly name: string;
  readonly app: string;
  readonly data?: Json;
}

/** A function that an event did not start, and why. */
export interface NotStarted {
  readonly function: Named;
  /** A word. */
  readonly reason: string;
  /** A sentence. */
  readonly detail: string;
  /** The run that was in the way. */
  readonly runId?: string;
}

/** Something that is done to many runs, and how far it has come. */
export interface Bulk {
  readonly id: string;
  readonly filter: {
    readonly functionId?: readonly string[];
    readonly from?: string;
    readonly until?: string;
  };
  readonly action: BulkAction | "replay";
  readonly rate: number;
  readonly status: "RUNNING" | "COMPLETED" | "STOPPED";
  readonly total: number;
  /** There are more than `total`. */
  readonly more?: boolean;
  readonly done: number;
  readonly refused: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly endedAt?: string;
}

export type BulkAction = "cancel" | "rerun";

export interface LimitNumbers {
  readonly concurrency?: number;
  readonly rate?: number;
  readonly period?: string;
}

/** One value of a limit's key. */
export interface LimitKey {
  /** JSON text; absent where nothing names one. */
  readonly key?: string;
  readonly inUse?: number;
  readonly waiting?: number;
  readonly available?: number;
  readonly coolsUntil?: string;
}

/** A limit with a name, and how it stands. */
export interface Limit extends LimitNumbers {
  readonly name: string;
  readonly isChanged?: boolean;
  readonly declared?: LimitNumbers;
  readonly inUse?: number;
  readonly waiting?: number;
  readonly functions?: readonly string[];
  readonly keys?: readonly LimitKey[];
}

/** A schedule of a function. */
export interface Cron {
  readonly function: Named;
  readonly app: Named;
  readonly schedule: string;
  readonly zone: string;
  readonly jitter?: string;
  readonly nextAt?: string;
  readonly isPaused?: boolean;
  /** The newest first. */
  readonly recent?: readonly Occurrence[];
  readonly clockChange?: { readonly at: string; readonly minutes: number };
}

export interface Occurrence {
  readonly at: string;
  readonly runId?: string;
  readonly status?: RunStatus;
  readonly missed?: boolean;
}

/** How many runs came to each status in the minute or hour that begins `at`. */
export interface Count {
  readonly at: string;
  readonly counts: { readonly [status in RunStatus]?: number };
  readonly app?: Named;
  readonly function?: Named;
}

/** Runs of a function that failed alike. */
export interface FailureGroup {
  readonly function: Named;
  readonly app: Named;
  readonly name: string;
  readonly message: string;
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
  /** The latest. */
  readonly runId: string;
}

/** How long completed runs of a function took. */
export interface Durations {
  readonly function: Named;
  readonly app: Named;
  readonly runs: number;
  readonly medianMs: number;
  /** Of a hundred runs 95 took no longer. */
  readonly slowMs: number;
  /** The longest. */
  readonly runId: string;
}

/** What a function has to do now. */
export interface Load {
  readonly function: Named;
  readonly app: Named;
  readonly queued: number;
  readonly running: number;
  readonly oldestQueuedAt?: string;
  /** A word for what keeps those that are queued; "none" if nothing does. */
  readonly reason?: string;
}

/** One limit of a function and one value of its key. */
export interface KeyUsage {
  readonly option: "concurrency" | "runConcurrency" | "throttle";
  readonly key?: string;
  readonly inUse: number;
  readonly limit: number;
  readonly waiting: number;
  readonly nextAt?: string;
}

export interface Usage {
  readonly load: Load;
  readonly limits: readonly KeyUsage[];
}

/** The server that answers; an engine within an application tells its version alone. */
export interface ServerTold {
  readonly version: string;
  readonly startedAt?: string;
  readonly connections?: number;
  readonly workers?: number;
  /** By how much its loop was late in the last five minutes, and what it worked itself meanwhile. */
  readonly lateMs?: { readonly longest: number; readonly own: number };
}

export interface Storage {
  readonly database: "memory" | "sqlite" | "postgresql";
  readonly databaseBytes: number;
  readonly logBytes: number;
  readonly retentionMs: number;
}

export interface Page<Item> {
  readonly data: readonly Item[];
  readonly page?: {
    readonly cursor?: string;
    readonly hasMore?: boolean;
    readonly limit: number;
    readonly partial?: boolean;
  };
}
