/** Moments and lengths of time in words. The server reckons them; here they are only written. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";

/** The time by the server's clock, in milliseconds, renewed once a second. */
export const now = signal(Date.now());
let ahead = 0;

/** The server says what time it has; what is told as "ago" goes by that. */
export function setClock(server: string | undefined): void {
  if (server) ahead = Date.parse(server) - Date.now();
}

/** Lets time pass, as long as the page is seen. */
export function startClock(): void {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now() + ahead;
  }, 1000);
}

/** A length of time, as short as it is honest: 840 µs is "<1 ms", 95 s is "1 m 35 s". */
export function length(ms: number): string {
  if (ms < 1) return ms > 0 ? "<1 ms" : "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return parts(Math.round(seconds));
}

function parts(seconds: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  let left = seconds;
  const words: string[] = [];
  for (const [size, unit] of units.slice(first, first + 2)) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) words.push(`${count} ${unit}`);
  }
  return words.join(" ");
}

/** "12 s ago", "in 3 d". */
export function distance(from: number, to: number): string {
  const apart = from - to;
  if (Math.abs(apart) < 1000) return "now";
  const words = parts(Math.round(Math.abs(apart) / 1000))
    .split(" ")
    .slice(0, 2)
    .join(" ");
  return apart > 0 ? `${words} ago` : `in ${words}`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const second = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** Date and time where the reader is, with milliseconds or to the minute. */
export function exactly(iso: string, to: "millisecond" | "minute" = "millisecond"): string {
  const at = new Date(iso);
  return `${day.format(at)}, ${(to === "minute" ? minute : clock).format(at)}`;
}

/** A moment as a field of date and time holds it, where the reader is; and the way back. */
export function atField(iso: string): string {
  if (iso === "") return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export const ofField = (text: string): string => text && new Date(text).toISOString();

/** Date and time to the second, where the reader is; the time alone for today. */
export function briefly(iso: string, nowMs: number): string {
  const at = new Date(iso);
  const today = at.toDateString() === new Date(nowMs).toDateString();
  return today ? second.format(at) : `${day.format(at)}, ${second.format(at)}`;
}

/** The time alone, with milliseconds, where the reader is. */
export const timeOfDay = (iso: string): string => clock.format(new Date(iso));

/** The date alone, where the reader is. */
export const onDay = (iso: string): string => day.format(new Date(iso));

/**
 * A moment as its distance from now; the moment itself when pointed at. What has happened is never
 * told as to come, though a clock be behind; `ahead` says that it is to come.
 */
export function Ago({
  at,
  ahead = false,
}: {
  at: string | undefined;
  ahead?: boolean;
}): JSX.Element {
  if (!at) return <span class="faint">–</span>;
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={exactly(at)}>
      {distance(ahead ? now.value : Math.max(now.value, ms), ms)}
    </time>
  );
}

/** A moment as date and time. */
export function Moment({ at }: { at: string | undefined }): JSX.Element {
  if (!at) return <span class="faint">–</span>;
  return (
    <time dateTime={at} title={at}>
      {exactly(at)}
    </time>
  );
}
