/** The same action as a command, as a request, and as a program. Pure. */

import { ExactNumber, type Json, printExact } from "../api/exact";

/** A word of a shell, whatever it holds. */
export const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** A value as Python writes it. */
export function python(value: Json, indent = ""): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value instanceof ExactNumber) return value.text;
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const list = Array.isArray(value);
  const members = list
    ? value.map((one) => python(one, inner))
    : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one, inner)}`);
  const [begin, end] = list ? ["[", "]"] : ["{", "}"];
  if (members.length === 0) return begin + end;
  const short = `${begin}${members.join(", ")}${end}`;
  if (short.length <= 60 && !short.includes("\n")) return short;
  return `${begin}\n${members.map((one) => `${inner}${one},\n`).join("")}${indent}${end}`;
}

export interface Sent {
  readonly name: string;
  readonly data?: Json;
}

const oneLine = (value: Json): string =>
  value instanceof ExactNumber || value === null || typeof value !== "object"
    ? printExact(value)
    : Array.isArray(value)
      ? `[${value.map(oneLine).join(",")}]`
      : `{${Object.entries(value)
          .map(([name, one]) => `${JSON.stringify(name)}:${oneLine(one)}`)
          .join(",")}}`;

export const commandOf = (event: Sent): string =>
  `stepwell send ${quoted(event.name)} ${quoted(oneLine(event.data ?? {}))}`;

/** Running again from a step, by its hashed id, with the arguments it had. */
export function rerunCommandOf(run: string, step: { stepId?: string; input?: Json }): string {
  const input = step.input === undefined ? "" : ` --input ${quoted(oneLine(step.input))}`;
  return `stepwell rerun ${run} --from-step ${quoted(step.stepId ?? "")}${input}`;
}

/** `key` says that the server asks for one. */
export function curlOf(url: string, body: Json, key: boolean): string {
  const lines = [
    `curl ${quoted(url)}`,
    ...(key ? ['-H "Authorization: Bearer $STEPWELL_KEY"'] : []),
    "-H 'Content-Type: application/json'",
    `-d ${quoted(oneLine(body))}`,
  ];
  return lines.join(" \\\n  ");
}

export const pythonOf = (event: Sent): string =>
  `await client.send(\n    stepwell.Event(\n        name=${JSON.stringify(event.name)},\n        data=${python(event.data ?? {}, "        ")},\n    )\n)`;

export const eventOf = (event: Sent): string =>
  printExact({ name: event.name, data: event.data ?? {} });
