import { describe, expect, it } from "vitest";
import { merged, scaleOf } from "./scale";

const DAY = 86_400_000;

describe("scaleOf", () => {
  it("draws a run without pauses as time passed", () => {
    const scale = scaleOf(1000, 2000, [{ from: 1000, to: 2000 }]);
    expect(scale.gaps).toEqual([]);
    expect(scale.place(1000)).toBe(0);
    expect(scale.place(1500)).toBeCloseTo(0.5);
    expect(scale.place(2000)).toBe(1);
  });

  it("draws three days of sleep short, and what ran before and after it long", () => {
    const scale = scaleOf(0, 3 * DAY + 200, [
      { from: 0, to: 100 },
      { from: 3 * DAY + 100, to: 3 * DAY + 200 },
    ]);
    expect(scale.gaps).toHaveLength(1);
    expect(scale.place(100)).toBeGreaterThan(0.4);
    const [gap] = scale.gaps;
    expect((gap?.right ?? 0) - (gap?.left ?? 0)).toBeCloseTo(0.18);
  });

  it("draws a few milliseconds as they are, where next to nothing ran", () => {
    const scale = scaleOf(0, 5 * 60_000, [
      { from: 0, to: 1 },
      { from: 14, to: 14 },
    ]);
    expect(scale.gaps).toHaveLength(1);
    expect(scale.gaps[0]?.from).toBe(14);
  });

  it("draws less than a second of nothing as it is", () => {
    const scale = scaleOf(0, 900, [
      { from: 5, to: 6 },
      { from: 450, to: 451 },
    ]);
    expect(scale.gaps).toEqual([]);
  });

  it("never runs backwards and stays within the page", () => {
    const busy = [
      { from: 10, to: 20 },
      { from: 5000, to: 5005 },
      { from: 90_000, to: 90_100 },
    ];
    const scale = scaleOf(0, 100_000, busy);
    let last = 0;
    for (let moment = -50; moment <= 100_050; moment += 37) {
      const at = scale.place(moment);
      expect(at).toBeGreaterThanOrEqual(last);
      expect(at).toBeLessThanOrEqual(1);
      last = at;
    }
  });

  it("keeps room for the work where a run paused a hundred times", () => {
    const busy = Array.from({ length: 100 }, (_, n) => ({ from: n * DAY, to: n * DAY + 5 }));
    const scale = scaleOf(0, 100 * DAY, busy);
    const inGaps = scale.gaps.reduce((sum, gap) => sum + gap.right - gap.left, 0);
    expect(inGaps).toBeLessThanOrEqual(0.51);
  });

  it("says how long after the beginning each line of the grid stands", () => {
    const scale = scaleOf(500, 1500, [{ from: 500, to: 1500 }]);
    expect(scale.ticks.map((tick) => Math.round(tick.after))).toEqual([0, 200, 400, 600, 800]);
  });

  it("has a place for a run that took no time", () => {
    const scale = scaleOf(7, 7, []);
    expect(scale.place(7)).toBe(0);
  });
});

describe("merged", () => {
  it("joins what overlaps and drops what lies outside", () => {
    const joined = merged(
      [
        { from: 5, to: 9 },
        { from: 0, to: 6 },
        { from: 20, to: 30 },
      ],
      0,
      10,
    );
    expect(joined).toEqual([{ from: 0, to: 9 }]);
  });
});
