/** From counts of the server to the bars of a chart. Pure. */

import type { Count } from "../api/model";

export interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly queued: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** How far back is looked, and in what steps. */
export interface Span {
  readonly name: string;
  readonly word: string;
  readonly ms: number;
  readonly stepMs: number;
  readonly resolution: "minute" | "hour";
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const SPANS: readonly Span[] = [
  { name: "1h", word: "Last hour", ms: HOUR, stepMs: MINUTE, resolution: "minute" },
  { name: "24h", word: "Last 24 hours", ms: 24 * HOUR, stepMs: 15 * MINUTE, resolution: "minute" },
  { name: "7d", word: "Last 7 days", ms: 168 * HOUR, stepMs: 2 * HOUR, resolution: "hour" },
];

/** A day by the hour, for what is counted of each function. */
export const HOURLY: Span = {
  name: "24h",
  word: "Last 24 hours",
  ms: 24 * HOUR,
  stepMs: HOUR,
  resolution: "hour",
};

/** The first moment that is shown: whole steps, of which the last holds `nowMs`. */
export const beginOf = (span: Span, nowMs: number): number =>
  (Math.floor(nowMs / span.stepMs) + 1) * span.stepMs - span.ms;

/** Every step of the span, also those in which nothing happened. */
export function bucketsOf(counts: readonly Count[], span: Span, nowMs: number): readonly Bucket[] {
  const begin = beginOf(span, nowMs);
  const found = Array.from({ length: span.ms / span.stepMs }, (_, place) => ({
    from: begin + place * span.stepMs,
    to: begin + (place + 1) * span.stepMs,
    queued: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
  }));
  for (const one of counts) {
    const bucket = found[Math.floor((Date.parse(one.at) - begin) / span.stepMs)];
    if (!bucket) continue;
    bucket.queued += one.counts.QUEUED ?? 0;
    bucket.completed += one.counts.COMPLETED ?? 0;
    bucket.failed += one.counts.FAILED ?? 0;
    bucket.cancelled += one.counts.CANCELLED ?? 0;
  }
  return found;
}

export interface Totals {
  readonly queued: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

export function totalsOf(buckets: readonly Totals[]): Totals {
  const sum = (name: keyof Totals) => buckets.reduce((total, one) => total + one[name], 0);
  return {
    queued: sum("queued"),
    completed: sum("completed"),
    failed: sum("failed"),
    cancelled: sum("cancelled"),
  };
}

/** The share of runs that ended badly among those that ended by themselves, 0 to 1. */
export const failedShare = (totals: Totals): number =>
  totals.failed / Math.max(totals.failed + totals.completed, 1);

/** A share in words: never "0 %" for what happened, nor "100 %" for what did not always. */
export function percent(share: number): string {
  if (share <= 0) return "0 %";
  if (share < 0.001) return "<0.1 %";
  if (share < 0.1) return `${(share * 100).toFixed(1)} %`;
  return `${Math.min(Math.round(share * 100), share < 1 ? 99 : 100)} %`;
}

/** A round number that is not less, of which a scale is made. */
export function roundUp(value: number): number {
  if (value <= 5) return Math.max(Math.ceil(value), 1);
  const power = 10 ** Math.floor(Math.log10(value));
  return (ROUND.find((times) => times * power >= value) ?? 10) * power;
}

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** How often something happens, in the unit that gives a number people can grasp. */
export function often(count: number, ms: number): string {
  const minutely = (count / ms) * MINUTE;
  const [number, unit] =
    minutely >= 1 || count === 0 ? [minutely, "minute"] : [minutely * 60, "hour"];
  const words = number >= 10 || Number.isInteger(number) ? Math.round(number) : number.toFixed(1);
  return `${words.toLocaleString()} ${unit === "hour" ? "an" : "a"} ${unit}`;
}
