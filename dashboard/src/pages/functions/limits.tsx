/** The flow control of a function in a few words. */

import type { JSX } from "preact";
import { ExactNumber, type Json } from "../../api/exact";
import type { Fn } from "../../api/model";

/** Words for each option that bounds or orders runs; others are shown on the function's page. */
const WORDS: Record<string, string> = {
  concurrency: "concurrency",
  throttle: "throttle",
  rateLimit: "rate limit",
  debounce: "debounce",
  eventsBatch: "batch",
  batchEvents: "batch",
  singleton: "singleton",
  idempotency: "idempotency",
  priority: "priority",
};

export function Limits({ fn }: { fn: Fn }): JSX.Element {
  const found = Object.entries(WORDS)
    .filter(([option]) => set(fn.configuration[option]))
    .map(([, word]) => word);
  return <span class={found.length === 0 ? "faint" : ""}>{found.join(", ") || "–"}</span>;
}

const set = (value: Json | undefined): boolean =>
  value !== undefined &&
  value !== null &&
  value !== false &&
  !(Array.isArray(value) && value.length === 0) &&
  !(value instanceof ExactNumber && value.text === "0");
