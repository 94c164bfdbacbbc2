import { describe, expect, it } from "vitest";
import {
  beginOf,
  bucketsOf,
  failedShare,
  often,
  percent,
  roundUp,
  SPANS,
  totalsOf,
} from "./series";

const NOW = Date.parse("2026-11-30T12:07:30Z");
const [hour, day] = SPANS as [(typeof SPANS)[0], (typeof SPANS)[0]];

describe("bucketsOf", () => {
  it("has whole steps, of which the last holds the present", () => {
    const buckets = bucketsOf([], day, NOW);
    expect(buckets).toHaveLength(96);
    expect(new Date(beginOf(day, NOW)).toISOString()).toBe("2026-11-29T12:15:00.000Z");
    expect(new Date(buckets[95]?.to ?? 0).toISOString()).toBe("2026-11-30T12:15:00.000Z");
  });

  it("sums what falls into a step, and leaves out what lies before", () => {
    const buckets = bucketsOf(
      [
        { at: "2026-11-30T12:00:00Z", counts: { QUEUED: 2, FAILED: 1 } },
        { at: "2026-11-30T12:07:00Z", counts: { QUEUED: 3, COMPLETED: 4 } },
        { at: "2026-11-20T12:00:00Z", counts: { QUEUED: 100 } },
      ],
      day,
      NOW,
    );
    expect(totalsOf(buckets)).toEqual({ queued: 5, completed: 4, failed: 1, cancelled: 0 });
    expect(buckets[95]).toMatchObject({ queued: 5, completed: 4, failed: 1 });
  });

  it("shows an hour by the minute", () => {
    expect(bucketsOf([], hour, NOW)).toHaveLength(60);
  });
});

describe("failedShare", () => {
  it("leaves out what was cancelled", () => {
    expect(failedShare({ queued: 0, completed: 3, failed: 1, cancelled: 50 })).toBe(0.25);
  });

  it("is nothing where nothing ended", () => {
    expect(failedShare({ queued: 5, completed: 0, failed: 0, cancelled: 0 })).toBe(0);
  });
});

describe("percent", () => {
  it.each([
    [0, "0 %"],
    [0.0001, "<0.1 %"],
    [0.012, "1.2 %"],
    [0.5, "50 %"],
    [0.999, "99 %"],
    [1, "100 %"],
  ])("says %d as %s", (share, words) => {
    expect(percent(share)).toBe(words);
  });
});

describe("roundUp", () => {
  it.each([
    [0, 1],
    [3, 3],
    [10, 10],
    [11, 12],
    [23, 25],
    [501, 600],
    [999, 1000],
  ])("of %d is %d", (value, up) => {
    expect(roundUp(value)).toBe(up);
  });
});

describe("often", () => {
  it.each([
    [0, "0 a minute"],
    [600, "10 a minute"],
    [90, "1.5 a minute"],
    [37, "37 an hour"],
  ])("says %d in an hour as %s", (count, words) => {
    expect(often(count, 3_600_000)).toBe(words);
  });

  it("says seldom things by the hour", () => {
    expect(often(37, 24 * 3_600_000)).toBe("1.5 an hour");
  });
});
