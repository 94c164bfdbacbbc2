/** The class of error that runs failed with, as a line of the condition. Pure. */

const LINE = /^error\.name == ("(?:[^"\\]|\\.)*")$/;

/** The class that a condition asks for; empty where it asks for none. */
export function errorOf(query: string): string {
  const found = query.split("\n").map((line) => LINE.exec(line.trim())?.[1]);
  const quoted = found.find((one) => one !== undefined);
  return quoted === undefined ? "" : (JSON.parse(quoted) as string);
}

/** The condition with another class, or with none; its other lines stay. */
export function withError(query: string, name: string): string {
  const others = query.split("\n").filter((line) => line.trim() && !LINE.test(line.trim()));
  return [...others, ...(name ? [`error.name == ${JSON.stringify(name)}`] : [])].join("\n");
}
