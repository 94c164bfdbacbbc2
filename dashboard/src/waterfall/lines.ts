/** From a trace to the lines of the waterfall. Pure. */

import type { Span } from "../api/model";
import { type Scale, type Stretch, scaleOf } from "./scale";

export interface Line {
  readonly span: Span;
  readonly depth: number;
  readonly folds: boolean;
  readonly open: boolean;
}

export interface Bar {
  /**
   * `queue`: it could have run but did not. `between`: what it follows had ended, and it had not
   * begun. `retry`: it had failed and was tried again. `work`: it ran. `rest`: it waited.
   */
  readonly kind: "queue" | "between" | "retry" | "work" | "rest";
  readonly from: number;
  readonly to: number;
}

const RESTS = new Set(["Sleep", "WaitForEvent", "WaitForSignal", "InvokeFunction"]);

/** Whether a span waits for a time, an event or another run rather than runs code. */
export const rests = (span: Span): boolean => RESTS.has(span.stepOp ?? "");

/** The spans that are shown, the root first, children below their parents. */
export function linesOf(root: Span, closed: ReadonlySet<string>): readonly Line[] {
  const found: Line[] = [];
  const visit = (span: Span, depth: number) => {
    const folds = depth > 0 && span.children.length > 0;
    const open = !closed.has(span.id);
    found.push({ span, depth, folds, open });
    if (open) for (const child of span.children) visit(child, depth + 1);
  };
  visit(root, 0);
  return found;
}

const moment = (iso: string | undefined): number | undefined => (iso ? Date.parse(iso) : undefined);

/** Whether anything was going on: another function that is waited for works too. */
const isBusy = (span: Span, bar: Bar): boolean =>
  (bar.kind !== "rest" && bar.kind !== "between") || span.stepOp === "InvokeFunction";

/**
 * Since when each step could have begun, by the id of its span: since the last end before its begin,
 * or since the run began.
 */
export function freeSince(root: Span): ReadonlyMap<string, number> {
  const begin = moment(root.startedAt);
  const found = new Map<string, number>();
  if (begin === undefined) return found;
  const ends = root.children
    .map((one) => moment(one.endedAt))
    .filter((end) => end !== undefined)
    .sort((a, b) => a - b);
  const begun = root.children
    .filter((one) => one.startedAt)
    .map((one) => [one.id, moment(one.startedAt) as number] as const)
    .sort((a, b) => a[1] - b[1]);
  let place = 0;
  let free = begin;
  for (const [id, at] of begun) {
    while (place < ends.length && (ends[place] as number) <= at) {
      free = Math.max(ends[place] as number, begin);
      place += 1;
    }
    found.set(id, free);
  }
  return found;
}

/**
 * The bars of a span; what has not ended goes on until `nowMs`. `freeMs` is since when it could have
 * begun, where that is known.
 */
export function barsOf(span: Span, nowMs: number, freeMs?: number): readonly Bar[] {
  const queued = moment(span.queuedAt);
  const started = moment(span.startedAt);
  const first = queued ?? started;
  if (first === undefined || first > nowMs) return [];
  const ended = moment(span.endedAt) ?? Math.max(nowMs, first);
  const bars: Bar[] = [];
  const began = started ?? ended;
  const tried = moment(span.children.find((one) => one.startedAt)?.startedAt);
  const left = Math.min(tried ?? began, began);
  if (freeMs !== undefined && freeMs < left && !rests(span))
    bars.push({ kind: "between", from: freeMs, to: left });
  if (tried !== undefined && tried < began) bars.push({ kind: "retry", from: tried, to: began });
  if (began > first && !rests(span))
    bars.push({ kind: "queue", from: first, to: Math.min(began, ended) });
  if (started !== undefined)
    bars.push({
      kind: rests(span) ? "rest" : "work",
      from: rests(span) ? first : started,
      to: ended,
    });
  else if (rests(span)) bars.push({ kind: "rest", from: first, to: ended });
  return bars;
}

/** The scale of a whole trace. */
export function scaleOfTrace(root: Span, nowMs: number): Scale {
  const busy: Stretch[] = [];
  let from = moment(root.queuedAt) ?? moment(root.startedAt) ?? nowMs;
  let to = moment(root.endedAt) ?? nowMs;
  const visit = (span: Span, isRoot: boolean) => {
    for (const bar of barsOf(span, nowMs)) {
      from = Math.min(from, bar.from);
      to = Math.max(to, bar.to);
      if (isBusy(span, bar) && !(isRoot && bar.kind === "work")) busy.push(bar);
    }
    for (const child of span.children) visit(child, false);
  };
  visit(root, true);
  // What has no steps is busy from its start to its end.
  if (root.children.length === 0) busy.push(...barsOf(root, nowMs));
  return scaleOf(from, Math.max(to, from), busy);
}
