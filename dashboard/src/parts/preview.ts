/** JSON on one line, as far as it fits: a large value costs what is shown of it. Pure. */

import { ExactNumber, type Json } from "../api/exact";

const TEXT_MAX = 80;

/** The first `most` characters of a value, about; numbers as they are stored. */
export function preview(value: Json, most = 200): string {
  const found: string[] = [];
  let length = 0;
  const write = (text: string) => {
    found.push(text);
    length += text.length;
  };
  const walk = (one: Json): void => {
    if (length >= most) return;
    if (one instanceof ExactNumber) write(one.text);
    else if (typeof one === "string")
      write(JSON.stringify(one.length > TEXT_MAX ? `${one.slice(0, TEXT_MAX)}…` : one));
    else if (one === null || typeof one !== "object") write(String(one));
    else if (Array.isArray(one)) {
      write("[");
      for (let place = 0; place < one.length && length < most; place += 1) {
        if (place > 0) write(",");
        walk(one[place] as Json);
      }
      write("]");
    } else members(one as { readonly [name: string]: Json });
  };
  const members = (one: { readonly [name: string]: Json }) => {
    write("{");
    let first = true;
    for (const name in one) {
      if (length >= most) break;
      write(`${first ? "" : ","}${JSON.stringify(name.slice(0, TEXT_MAX))}:`);
      walk(one[name] as Json);
      first = false;
    }
    write("}");
  };
  walk(value);
  const text = found.join("");
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
