/** Where an expression is wrong, as the server says it: "… (line 1, column 7)". Pure. */

export interface WrongAt {
  readonly words: string;
  /** The character itself, and what stands around it on its line; absent where no place is told. */
  readonly before?: string;
  readonly at?: string;
  readonly after?: string;
}

const PLACE = /\s*\(line (\d+), column (\d+)\)\s*$/;

export function wrongAt(source: string, refused: string): WrongAt {
  const words = refused.replace(/^(filter\.)?query: /, "");
  const place = PLACE.exec(words);
  if (!place) return { words };
  const line = [...(source.split("\n")[Number(place[1]) - 1] ?? "")];
  const column = Number(place[2]) - 1;
  return {
    words: plain(words.replace(PLACE, "")),
    before: line.slice(0, column).join(""),
    at: line[column] ?? "",
    after: line.slice(column + 1).join(""),
  };
}

/** What a parser says, in words of people. */
const plain = (words: string): string =>
  words
    .replace(/ expecting .*$/s, "")
    .replace(/^Syntax error: /, "")
    .replace(/^(mismatched|extraneous) input '<EOF>'/, "It ends too early")
    .replace(/^(mismatched|extraneous) input ('.*')/, "$2 is not expected here")
    .replace(/^no viable alternative at input ('.*')/, "$1 is not understood");
