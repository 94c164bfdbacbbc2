import { describe, expect, it } from "vitest";
import type { Cron } from "../../api/model";
import { clockNote, wordsOf } from "./words";

const named = { id: "1", name: "f" };
const cron = (schedule: string, minutes: number): Cron => ({
  function: named,
  app: named,
  schedule,
  zone: "Europe/Paris",
  clockChange: { at: "2027-03-28T01:00:00Z", minutes },
});

describe("a schedule in words", () => {
  it.each([
    ["*/15 * * * *", "Every 15 minutes"],
    ["0 9 * * MON-FRI", "At 09:00, Monday through Friday"],
    ["TZ=Europe/Paris 30 2 1 * *", "At 02:30, on day 1 of the month"],
    ["CRON_TZ=UTC 0 0 * * 7", "At 00:00, only on Sunday"],
    ["nonsense", "nonsense"],
  ])("%s", (schedule, words) => {
    expect(wordsOf(schedule)).toBe(words);
  });
});

describe("what a change of clocks does", () => {
  const day = (iso: string) => iso.slice(0, 10);

  it("is told by the direction, and by whether the schedule names its hour", () => {
    expect(clockNote(cron("TZ=Europe/Paris 30 2 * * *", 60), day)).toBe(
      "Clocks in Europe/Paris go forward 1 h on 2027-03-28: a time that is skipped runs right after the gap.",
    );
    expect(clockNote(cron("TZ=Europe/Paris 30 2 * * *", -60), day)).toContain(
      "runs the first time",
    );
    expect(clockNote(cron("TZ=Europe/Paris */5 * * * *", -60), day)).toContain("by real time");
  });

  it("is nothing where clocks stay", () => {
    const { clockChange, ...steady } = cron("0 1 * * *", 60);
    expect(clockChange?.minutes).toBe(60);
    expect(clockNote(steady, day)).toBe("");
  });
});
