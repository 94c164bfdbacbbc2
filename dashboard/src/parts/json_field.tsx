/** A place to write JSON, and what is wrong with what stands there. */

import type { JSX } from "preact";
import { type Json, parseExact } from "../api/exact";

interface Props {
  readonly label: string;
  readonly value: string;
  readonly wrong: string;
  readonly onValue: (text: string) => void;
  readonly onKeyDown?: (event: KeyboardEvent) => void;
}

export function JsonField({ label, value, wrong, onValue, onKeyDown }: Props): JSX.Element {
  return (
    <>
      <label class="field">
        <span>{label}</span>
        <textarea
          class="area"
          spellcheck={false}
          value={value}
          onKeyDown={onKeyDown}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      </label>
      <p class="wrong" role="alert">
        {wrong}
      </p>
    </>
  );
}

/** What is wrong with a text, in one sentence; nothing where it is JSON that `judge` has nothing against. */
export function wrongIn(text: string, judge: (value: Json) => string): string {
  let value: Json;
  try {
    value = parseExact(text);
  } catch (error) {
    return `This is not JSON: ${(error as Error).message}`;
  }
  return judge(value);
}

export const isObject = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  value !== null && typeof value === "object" && !Array.isArray(value);
