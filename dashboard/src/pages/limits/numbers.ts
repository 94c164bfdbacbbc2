/** The numbers of a limit, in words and as they are written by hand. Pure. */

import type { LimitNumbers } from "../../api/model";

const COUNT = new Intl.NumberFormat("en");

/** "4 at once", "90,000 per 1m". */
export function told(numbers: LimitNumbers): string {
  if (numbers.rate) return `${COUNT.format(numbers.rate)} per ${numbers.period}`;
  if (numbers.concurrency) return `${COUNT.format(numbers.concurrency)} at once`;
  return "no limit";
}

/** What somebody wrote: a kind, a number, a period. */
export interface Written {
  readonly kind: "concurrency" | "rate";
  readonly amount: string;
  readonly period: string;
}

export const writtenOf = (numbers: LimitNumbers): Written =>
  numbers.rate
    ? { kind: "rate", amount: String(numbers.rate), period: numbers.period ?? "" }
    : { kind: "concurrency", amount: String(numbers.concurrency ?? 1), period: "1m" };

/** What is wrong with it, in one sentence; the server judges the rest. */
export function wrongIn(written: Written): string {
  if (!/^[1-9]\d{0,14}$/.test(written.amount)) return "The number is a whole one from 1 on";
  if (written.kind === "rate" && !written.period) return "A rate needs a period, such as 1m";
  return "";
}

export const numbersOf = (written: Written): LimitNumbers =>
  written.kind === "rate"
    ? { rate: Number(written.amount), period: written.period }
    : { concurrency: Number(written.amount) };

/** How full one key is, 0 to 1: of a rate, how much of it is spent. */
export function fullness(numbers: LimitNumbers, inUse: number, available?: number): number {
  const most = numbers.rate || numbers.concurrency || 0;
  if (most === 0) return 0;
  const used = numbers.rate ? most - (available ?? most) : inUse;
  return Math.min(Math.max(used / most, 0), 1);
}
