/** The settings of a function in words. Pure. What is not known here is told as it is stored. */

import { type Json, printExact } from "../../api/exact";

export interface Told {
  readonly name: string;
  readonly words: string;
}

type Group = { readonly [name: string]: Json };

/** One line for each setting, in the order they take effect. */
export function settingsTold(configuration: Group): readonly Told[] {
  const order = Object.keys(WORDS);
  const names = Object.keys(configuration).sort((a, b) => place(order, a) - place(order, b));
  return names.flatMap((name) => {
    const value = configuration[name];
    if (value === undefined || value === null || value === false) return [];
    const [title, words] = WORDS[name] ?? [name, plain];
    return entries(value).map((one) => ({ name: title, words: words(one) }));
  });
}

/** The settings that bound or order runs, by name, for a list. */
export const limitsTold = (configuration: Group): string => {
  const told = settingsTold(configuration).map((one) => one.name);
  return [...new Set(told)].filter((name) => !OTHERS.has(name)).join(", ");
};

const OTHERS = new Set(["Retries", "Time-outs", "Cancelled by", "checkpoint"]);

const place = (order: readonly string[], name: string): number => {
  const found = order.indexOf(name);
  return found < 0 ? order.length : found;
};

const entries = (value: Json): readonly Json[] => (Array.isArray(value) ? value : [value]);
const group = (value: Json): Group =>
  value !== null && typeof value === "object" ? (value as Group) : {};
const plain = (value: Json): string =>
  typeof value === "string" ? value : printExact(value).replace(/\s+/g, " ");
const each = (value: Group): string => (value.key ? ` for each ${plain(value.key)}` : "");

const WORDS: Record<string, readonly [string, (value: Json) => string]> = {
  retries: [
    "Retries",
    (value) =>
      `${plain(group(value).value ?? value)}${group(value).isDefault ? ", the default" : ""}`,
  ],
  idempotency: ["Idempotency", (value) => `once for each ${plain(value)}`],
  rateLimit: [
    "Rate limit",
    (value) => `${amount(value)} begin, the rest are dropped${each(group(value))}`,
  ],
  debounce: [
    "Debounce",
    (value) =>
      `waits until ${plain(group(value).period ?? "?")} pass without another${each(group(value))}`,
  ],
  batchEvents: [
    "Batch",
    (value) =>
      `up to ${plain(group(value).maxSize ?? "?")} events or ${plain(group(value).timeout ?? "?")}${each(group(value))}`,
  ],
  singleton: [
    "Singleton",
    (value) =>
      `one run at a time${each(group(value))}; another is ${group(value).mode === "cancel" ? "started in its place" : "skipped"}`,
  ],
  throttle: ["Throttle", (value) => `${amount(value)} begin, the rest wait${each(group(value))}`],
  concurrency: [
    "Concurrency",
    (value) =>
      `${plain(group(group(value).limit ?? null).value ?? group(value).limit ?? "?")} at once${each(group(value))}${SCOPES[String(group(value).scope ?? "").toLowerCase()] ?? ""}`,
  ],
  limits: ["Named limit", (value) => `${plain(group(value).name ?? value)}${each(group(value))}`],
  priority: ["Priority", (value) => `by ${plain(group(value).run ?? value)}`],
  timeouts: ["Time-outs", (value) => timeouts(group(value))],
  cancelOn: [
    "Cancelled by",
    (value) =>
      `${plain(group(value).event ?? value)}${group(value).if ? ` if ${plain(group(value).if ?? "")}` : ""}`,
  ],
};

const SCOPES: Record<string, string> = {
  env: " in this environment",
  account: " in the whole account",
};

const amount = (value: Json): string =>
  `${plain(group(value).limit ?? "?")} in ${plain(group(value).period ?? "?")}`;

const timeouts = (value: Group): string =>
  [
    value.start && `starts within ${plain(value.start)}`,
    value.finish && `ends within ${plain(value.finish)}`,
  ]
    .filter(Boolean)
    .join(", ");
