/** Two texts, line by line: what both have, what only one has. Pure. */

export interface DiffLine {
  readonly kind: "same" | "gone" | "new";
  readonly text: string;
}

/** Longer texts are compared by their first lines: the work grows with the square. */
const LINES_MAX = 400;

/** The shortest way from one text to another, for texts of some hundred lines. */
export function lineDiff(before: string, after: string): readonly DiffLine[] {
  const one = before.split("\n", LINES_MAX);
  const other = after.split("\n", LINES_MAX);
  const longest = table(one, other);
  const found: DiffLine[] = [];
  let a = 0;
  let b = 0;
  while (a < one.length || b < other.length) {
    if (a < one.length && b < other.length && one[a] === other[b]) {
      found.push({ kind: "same", text: one[a] as string });
      a += 1;
      b += 1;
    } else if (
      b >= other.length ||
      (a < one.length && down(longest, a, b) >= right(longest, a, b))
    ) {
      found.push({ kind: "gone", text: one[a] as string });
      a += 1;
    } else {
      found.push({ kind: "new", text: other[b] as string });
      b += 1;
    }
  }
  return found;
}

type Table = readonly (readonly number[])[];
const down = (longest: Table, a: number, b: number): number => longest[a + 1]?.[b] ?? 0;
const right = (longest: Table, a: number, b: number): number => longest[a]?.[b + 1] ?? 0;

/** The number of lines that the rests of both texts have in common, by where the rests begin. */
function table(one: readonly string[], other: readonly string[]): Table {
  const found = Array.from({ length: one.length + 1 }, () =>
    new Array<number>(other.length + 1).fill(0),
  );
  for (let a = one.length - 1; a >= 0; a -= 1) {
    const row = found[a] as number[];
    for (let b = other.length - 1; b >= 0; b -= 1)
      row[b] =
        one[a] === other[b]
          ? right(found, a + 1, b) + 1
          : Math.max(down(found, a, b), right(found, a, b));
  }
  return found;
}
