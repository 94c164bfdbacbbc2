/** Lines of the logs of many runs: which are kept, and which are shown. Pure. */

import type { RunLine } from "../../api/model";

/** So many are kept; older ones stand with their runs. */
export const LINES_MAX = 500;
/** Of so many runs it is known which function they are of: the page may be open for days. */
export const RUNS_MAX = 2000;
export const LEVELS = ["info", "warning", "error", "critical"] as const;
const NAMES: readonly string[] = LEVELS;

export interface Chosen {
  readonly fn: string;
  /** This level and those above it. */
  readonly level: string;
  /** Part of a line, whatever its case. */
  readonly text: string;
}

/** The lines with others behind them, the latest of them. */
export const joined = (lines: readonly RunLine[], more: readonly RunLine[]): readonly RunLine[] =>
  [...lines, ...more].slice(-LINES_MAX);

/** The functions of runs with those of others, the latest of them. */
export function withFunctions(
  known: ReadonlyMap<string, string>,
  runs: readonly { readonly id: string; readonly function: { readonly name: string } }[],
): ReadonlyMap<string, string> {
  if (runs.every((run) => known.has(run.id))) return known;
  const all = new Map([...known, ...runs.map((run) => [run.id, run.function.name] as const)]);
  return new Map([...all].slice(-RUNS_MAX));
}

/** Lines that are not among those that are known: a line has no id. */
export function withoutKnown(
  known: readonly RunLine[],
  lines: readonly RunLine[],
): readonly RunLine[] {
  const told = (line: RunLine) => JSON.stringify([line.runId, line.at, line.stepId, line.text]);
  const names = new Set(known.map(told));
  return lines.filter((line) => !names.has(told(line)));
}

/** Lines in the order of their times, as many as are kept. */
export const inOrder = (lines: readonly RunLine[]): readonly RunLine[] =>
  lines.toSorted((one, other) => one.at.localeCompare(other.at)).slice(-LINES_MAX);

export const shownOf = (lines: readonly RunLine[], { level, text }: Chosen): readonly RunLine[] => {
  const least = rank(level);
  const part = text.toLowerCase();
  return lines.filter(
    (line) => rank(line.level) >= least && line.text.toLowerCase().includes(part),
  );
};

/** What is called otherwise stands above all: it is not to be overlooked. */
function rank(level: string): number {
  const found = NAMES.indexOf(level.toLowerCase());
  return found < 0 && level !== "" ? LEVELS.length : found;
}

export const chosenOf = (search: URLSearchParams): Chosen => {
  const level = search.get("level") ?? "";
  return {
    fn: search.get("function") ?? "",
    level: LEVELS.some((one) => one === level) ? level : "",
    text: search.get("text") ?? "",
  };
};

export function searchOf({ fn, level, text }: Chosen): string {
  const search = new URLSearchParams();
  if (fn) search.set("function", fn);
  if (level) search.set("level", level);
  if (text) search.set("text", text);
  const found = search.toString();
  return found && `?${found}`;
}
