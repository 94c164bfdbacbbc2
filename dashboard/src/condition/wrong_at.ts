/** Where an expression is wrong, as the server says it: "… (line 1, column 7)". Pure. */

export interface WrongAt {
  readonly words: string;
  /** What is wrong itself, and what stands around it on its line; absent where no place is told. */
  readonly before?: string;
  readonly at?: string;
  readonly after?: string;
}

const PLACE = /\s*\(line (\d+), column (\d+)\)\s*$/;
/** What a message names: a piece of the source between quotation marks, or a function. */
const NAMED = /'((?:[^']|'(?=\S*'))+?)'|\bno (?:method|function) (\w+)/;

export function wrongAt(source: string, refused: string): WrongAt {
  const words = refused.replace(/^(filter\.)?query: /, "");
  const place = PLACE.exec(words);
  const told = words.replace(PLACE, "");
  const found = NAMED.exec(told);
  const name = (found?.[1] ?? found?.[2] ?? "").trim();
  if (!place) return { words: told, ...(name ? whereNamed(source, name) : {}) };
  const line = [...(source.split("\n")[Number(place[1]) - 1] ?? "")];
  const column = Number(place[2]) - 1;
  return { words: plain(told), ...parted(line, column, lengthOf(line, column, name)) };
}

/** As many characters as the name has that stands there, or one. */
function lengthOf(line: readonly string[], column: number, name: string): number {
  const letters = [...name];
  return letters.length > 0 && letters.every((letter, place) => line[column + place] === letter)
    ? letters.length
    : 1;
}

/** Where a name stands as a word of its own; nowhere if it does not. */
function whereNamed(source: string, name: string): Partial<WrongAt> {
  for (const text of source.split("\n")) {
    const line = [...text];
    const letters = [...name];
    const word = /\w/;
    const column = line.findIndex(
      (_, place) =>
        letters.every((letter, more) => line[place + more] === letter) &&
        !word.test(line[place - 1] ?? "") &&
        !word.test(line[place + letters.length] ?? ""),
    );
    if (column >= 0) return parted(line, column, letters.length);
  }
  return {};
}

const parted = (line: readonly string[], column: number, length: number) => ({
  before: line.slice(0, column).join(""),
  at: line.slice(column, column + length).join(""),
  after: line.slice(column + length).join(""),
});

/** What a parser says, in words of people. */
const plain = (words: string): string =>
  words
    .replace(/ expecting .*$/s, "")
    .replace(/^Syntax error: /, "")
    .replace(/^(mismatched|extraneous) input '<EOF>'/, "It ends too early")
    .replace(/^missing ('.*') at '<EOF>'/, "$1 is missing at the end")
    .replace(/^token recognition error at: '(.*?) ?'$/s, "'$1' is not understood")
    .replace(/^(mismatched|extraneous) input ('.*')/, "$2 is not expected here")
    .replace(/^no viable alternative at input ('.*')/, "$1 is not understood");
