/** Which columns the list of runs has besides status, function and duration. Pure. */

export type Column = "trigger" | "queued" | "started" | "ended" | "waited" | "retries" | "app";

interface About {
  readonly word: string;
  readonly width: string;
  readonly isNumber?: boolean;
}

export const COLUMNS: { readonly [column in Column]: About } = {
  app: { word: "App", width: "minmax(3.5rem, 0.5fr)" },
  trigger: { word: "Trigger", width: "minmax(5rem, 0.7fr)" },
  queued: { word: "Queued", width: "minmax(4.5rem, 0.5fr)" },
  started: { word: "Started", width: "minmax(4.5rem, 0.5fr)" },
  ended: { word: "Ended", width: "minmax(4.5rem, 0.5fr)" },
  waited: { word: "Waited", width: "4.25rem", isNumber: true },
  retries: { word: "Retries", width: "4.25rem", isNumber: true },
};

/** In the order in which they stand. */
export const ALL = Object.keys(COLUMNS) as readonly Column[];
export const USUAL: readonly Column[] = ["trigger", "queued"];

/** The columns that an address names; what is not understood is left out. */
export function columnsOf(text: string | null): readonly Column[] {
  if (text === null) return USUAL;
  const named = text.split(",");
  return ALL.filter((column) => named.includes(column));
}

/** How an address names columns; nothing where they are the usual ones. */
export function namesOf(columns: readonly Column[]): string | undefined {
  const names = columns.join(",");
  return names === USUAL.join(",") ? undefined : names;
}

/** With a column more, or less. */
export const toggled = (columns: readonly Column[], column: Column): readonly Column[] =>
  ALL.filter((one) => (one === column) !== columns.includes(one));
