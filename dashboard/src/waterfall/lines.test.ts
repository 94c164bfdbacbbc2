import { describe, expect, it } from "vitest";
import type { Span } from "../api/model";
import { barsOf, freeSince } from "./lines";

const at = (ms: number): string => new Date(ms).toISOString();

function span(id: string, from: number, to: number, children: readonly Span[] = []): Span {
  return {
    id,
    name: id,
    status: "COMPLETED",
    startedAt: at(from),
    endedAt: at(to),
    children,
  };
}

describe("freeSince", () => {
  it("is the last end before a step's begin, or the begin of the run", () => {
    const root = span("run", 100, 900, [
      span("a", 150, 300),
      span("b", 350, 400),
      span("c", 360, 500),
      span("d", 450, 600),
    ]);
    expect([...freeSince(root)]).toEqual([
      ["a", 100],
      ["b", 300],
      ["c", 300],
      ["d", 400],
    ]);
  });

  it("is not known of a run that has not begun", () => {
    expect(freeSince({ id: "run", name: "f", status: "QUEUED", children: [] }).size).toBe(0);
  });
});

describe("barsOf", () => {
  it("shows what lies between a step and what came before", () => {
    expect(barsOf(span("a", 150, 300), 1000, 100)).toEqual([
      { kind: "between", from: 100, to: 150 },
      { kind: "work", from: 150, to: 300 },
    ]);
  });

  it("shows how long a step was tried again", () => {
    const tried = [span("one", 200, 200), span("two", 400, 400)];
    expect(barsOf(span("a", 700, 800, tried), 1000, 150)).toEqual([
      { kind: "between", from: 150, to: 200 },
      { kind: "retry", from: 200, to: 700 },
      { kind: "work", from: 700, to: 800 },
    ]);
  });

  it("goes on until now where nothing has ended", () => {
    const open: Span = { id: "a", name: "a", status: "RUNNING", startedAt: at(5), children: [] };
    expect(barsOf(open, 50)).toEqual([{ kind: "work", from: 5, to: 50 }]);
  });
});
