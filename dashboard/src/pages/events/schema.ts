/** What a JSON Schema asks of an event: a sample to begin with, and what a value lacks. Pure. */

import { ExactNumber, type Json } from "../../api/exact";

type Group = { readonly [name: string]: Json };

const group = (value: Json | undefined): Group | undefined =>
  value !== null &&
  typeof value === "object" &&
  !Array.isArray(value) &&
  !(value instanceof ExactNumber)
    ? (value as Group)
    : undefined;

const DEPTH_MAX = 5;

/** Follows `#/$defs/…`, and takes the first of several that may be. */
function resolved(schema: Json | undefined, root: Json, depth = 0): Group {
  const one = group(schema) ?? {};
  if (depth > DEPTH_MAX) return {};
  if (typeof one.$ref === "string") {
    let found: Json | undefined = root;
    for (const name of one.$ref.replace(/^#\/?/, "").split("/")) found = group(found)?.[name];
    return resolved(found, root, depth + 1);
  }
  const some = [one.anyOf, one.oneOf].find(Array.isArray) as readonly Json[] | undefined;
  if (!some) return one;
  const parts = some.map((part) => resolved(part, root, depth + 1));
  return parts.find((part) => part.type !== "null") ?? {};
}

const SAMPLES: Record<string, Json> = {
  string: "",
  integer: 0,
  number: 0,
  boolean: false,
  array: [],
  null: null,
};

/** A value of the kind the schema describes. */
export function sampleOf(schema: Json | undefined, root = schema ?? null, depth = 0): Json {
  const own = group(schema)?.default;
  if (own !== undefined) return own;
  const one = resolved(schema, root);
  if (one.default !== undefined) return one.default;
  if (one.const !== undefined) return one.const;
  if (Array.isArray(one.examples) && one.examples.length > 0) return one.examples[0] as Json;
  if (Array.isArray(one.enum) && one.enum.length > 0) return one.enum[0] as Json;
  const fields = group(one.properties);
  if (fields && depth < DEPTH_MAX)
    return Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [name, sampleOf(field, root, depth + 1)]),
    );
  return SAMPLES[String(one.type ?? "")] ?? {};
}

/** What is wrong with a value, in one sentence: a field that is missing, or of another kind. */
export function wrongBy(
  schema: Json | undefined,
  value: Json,
  root = schema ?? null,
  at = "data",
): string {
  const one = resolved(schema, root);
  const kinds = several(group(schema))
    ? []
    : [one.type].flat().filter((kind) => kind !== undefined);
  if (kinds.length > 0 && !kinds.some((kind) => isOf(String(kind), value)))
    return `${at} is ${article(kindOf(value))}, where ${kinds.map((kind) => article(String(kind))).join(" or ")} is described`;
  const fields = group(one.properties);
  const given = group(value);
  if (!fields || !given) return "";
  const needed = Array.isArray(one.required) ? one.required.map(String) : [];
  const missing = needed.find((name) => given[name] === undefined);
  if (missing !== undefined) return `${at}.${missing} is missing`;
  for (const [name, field] of Object.entries(fields)) {
    const inner = given[name];
    const wrong = inner === undefined ? "" : wrongBy(field, inner, root, `${at}.${name}`);
    if (wrong) return wrong;
  }
  return "";
}

/** Whether any of several kinds will do: which of them is meant cannot be told. */
const several = (schema: Group | undefined): boolean =>
  schema?.anyOf !== undefined || schema?.oneOf !== undefined;

const kindOf = (value: Json): string =>
  value === null
    ? "null"
    : value instanceof ExactNumber
      ? "number"
      : Array.isArray(value)
        ? "array"
        : typeof value;

function isOf(kind: string, value: Json): boolean {
  const own = kindOf(value);
  if (kind !== "integer") return own === kind;
  return (
    own === "number" && Number.isInteger(Number(value instanceof ExactNumber ? value.text : value))
  );
}

const article = (kind: string): string =>
  kind === "null" ? "null" : `${/^[aio]/.test(kind) ? "an" : "a"} ${kind}`;
