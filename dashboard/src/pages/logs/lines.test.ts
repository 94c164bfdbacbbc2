import { describe, expect, it } from "vitest";
import type { RunLine } from "../../api/model";
import {
  chosenOf,
  inOrder,
  joined,
  LINES_MAX,
  RUNS_MAX,
  searchOf,
  shownOf,
  withFunctions,
  withoutKnown,
} from "./lines";

const line = (text: string, level = "info", at = "2026-11-30T12:00:00.000Z"): RunLine => ({
  at,
  level,
  text,
  runId: "R",
});
const ALL = { fn: "", level: "", text: "" };
const texts = (lines: readonly RunLine[]) => lines.map((one) => one.text);

describe("lines of logs", () => {
  it("are kept up to a number, the latest of them", () => {
    const many = Array.from({ length: LINES_MAX }, (_, n) => line(String(n)));
    const kept = joined(many, [line("last")]);
    expect(kept).toHaveLength(LINES_MAX);
    expect(texts(kept).at(0)).toBe("1");
    expect(texts(kept).at(-1)).toBe("last");
  });

  it("are known once, although they are heard of twice", () => {
    const known = [line("a"), line("b")];
    expect(texts(withoutKnown(known, [line("b"), line("c")]))).toEqual(["c"]);
  });

  it("are of functions that are known for the latest runs alone", () => {
    const run = (n: number) => ({ id: String(n), function: { name: "ship" } });
    let known: ReadonlyMap<string, string> = new Map();
    for (let n = 0; n <= RUNS_MAX; n += 1) known = withFunctions(known, [run(n)]);
    expect(known.size).toBe(RUNS_MAX);
    expect(known.has("0")).toBe(false);
    expect(known.get(String(RUNS_MAX))).toBe("ship");
    expect(withFunctions(known, [run(RUNS_MAX)])).toBe(known);
  });

  it("stand in the order of their times", () => {
    const later = line("b", "info", "2026-11-30T12:00:01.000Z");
    expect(texts(inOrder([later, line("a")]))).toEqual(["a", "b"]);
  });

  it("are shown from a level on, and by a part of them", () => {
    const lines = [line("Sent"), line("late", "WARNING"), line("lost", "error"), line("x", "odd")];
    expect(shownOf(lines, ALL)).toHaveLength(4);
    expect(texts(shownOf(lines, { ...ALL, level: "warning" }))).toEqual(["late", "lost", "x"]);
    expect(texts(shownOf(lines, { ...ALL, text: "SENT" }))).toEqual(["Sent"]);
  });

  it.each([ALL, { fn: "shop-a", level: "error", text: "a & b" }])(
    "are chosen by the address",
    (chosen) => {
      expect(chosenOf(new URLSearchParams(searchOf(chosen)))).toEqual(chosen);
    },
  );

  it("are not chosen by a level nobody knows", () => {
    expect(chosenOf(new URLSearchParams("level=loud"))).toEqual(ALL);
  });
});
