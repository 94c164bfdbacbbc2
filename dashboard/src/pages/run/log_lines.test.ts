import { expect, test } from "vitest";
import type { LogLine, Span } from "../../api/model";
import { linesOf } from "./log_lines";

const line = (text: string, stepId?: string, attempt?: number): LogLine => ({
  at: "2026-01-01T00:00:00Z",
  level: "info",
  text,
  ...(stepId === undefined ? {} : { stepId }),
  ...(attempt === undefined ? {} : { attempt }),
});

const LINES = [
  line("begun"),
  line("first", "a"),
  line("again", "a", 1),
  { ...line("other", "b"), stepName: "of b" },
];

const span = (id: string, fields: Partial<Span> = {}): Span => ({
  id,
  name: id,
  status: "FAILED",
  children: [],
  ...fields,
});

const nameless = span("first try", { attempt: 0 });
const step = span("a step", { attempt: 1, stepId: "a", children: [nameless] });
const loose = span("of b", { attempt: 0 });
const own = span("function", { attempt: 0 });
const root = span("run", { children: [step, loose, own] });

const texts = (of: Span): readonly string[] => linesOf(LINES, root, of).map((one) => one.text);

test("the run shows all lines, a step those of its attempts, an attempt its own", () => {
  expect(texts(root)).toEqual(["begun", "first", "again", "other"]);
  expect(texts(step)).toEqual(["first", "again"]);
  expect(texts(nameless)).toEqual(["first"]);
  expect(texts(span("once", { attempt: 1, stepId: "a" }))).toEqual(["again"]);
  expect(texts(loose)).toEqual(["begun", "other"]);
  expect(texts(own)).toEqual(["begun"]);
});
