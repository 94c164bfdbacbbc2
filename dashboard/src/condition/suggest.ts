/** What may come next in a condition: fields that are known, and what can be done with them. Pure. */

import { ExactNumber, type Json } from "../api/exact";

export interface Suggestions {
  /** The part of the text that a choice takes the place of. */
  readonly from: number;
  readonly to: number;
  readonly choices: readonly string[];
}

const CHOICES_MAX = 8;
const DEPTH_MAX = 4;
const PATHS_MAX = 200;

/** Fields that every condition may read. */
export const ALWAYS: readonly string[] = [
  "event.name",
  "event.data",
  "event.id",
  "event.ts",
  "output",
  "error.name",
  "error.message",
];
const METHODS = ["startsWith(", "endsWith(", "contains(", "matches(", "size()"];

export function suggest(text: string, caret: number, paths: readonly string[]): Suggestions {
  const before = text.slice(0, caret);
  const word = /[\w.]*$/.exec(before)?.[0] ?? "";
  const from = caret - word.length;
  const none = { from, to: caret, choices: [] };
  if (inText(before) || (word === "" && before.trim() !== "" && !/[(&|!,\s]$/.test(before)))
    return none;
  const cut = word.lastIndexOf(".") + 1;
  const nextDot = (path: string): string => {
    const dot = path.indexOf(".", cut);
    return dot < 0 ? path : path.slice(0, dot);
  };
  const fields = [...new Set(paths.filter((path) => path.startsWith(word)).map(nextDot))];
  const known = cut > 0 && paths.some((path) => `${path}.`.startsWith(word.slice(0, cut)));
  const methods = known
    ? METHODS.map((name) => word.slice(0, cut) + name).filter((name) => name.startsWith(word))
    : [];
  const choices = [...fields, ...methods].filter((choice) => choice !== word);
  return { from, to: caret, choices: choices.slice(0, CHOICES_MAX) };
}

/** Whether the text ends within quotation marks. */
function inText(text: string): boolean {
  let quote = "";
  for (let place = 0; place < text.length; place += 1) {
    const letter = text[place] as string;
    if (quote === "" && (letter === '"' || letter === "'")) quote = letter;
    else if (letter === "\\") place += 1;
    else if (letter === quote) quote = "";
  }
  return quote !== "";
}

/** The fields within a value, by the way that leads to them. Names that are no words are left out. */
export function pathsIn(root: string, value: Json | undefined, depth = 0): readonly string[] {
  if (
    value === null ||
    typeof value !== "object" ||
    Array.isArray(value) ||
    value instanceof ExactNumber ||
    depth >= DEPTH_MAX
  )
    return [root];
  const within = Object.entries(value)
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name))
    .flatMap(([name, one]) => pathsIn(`${root}.${name}`, one, depth + 1));
  return [root, ...within].slice(0, PATHS_MAX);
}
