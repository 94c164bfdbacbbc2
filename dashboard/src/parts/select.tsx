/** One of several: a list that opens. */

import type { JSX } from "preact";

/** What is chosen, the words it is shown by, and what is of no concern here. */
export type Option = readonly [value: string, word: string, ...rest: unknown[]];

interface Props {
  /** Its name for those who do not see it. */
  readonly label: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
}

export function Select({ label, value, options, onChange }: Props): JSX.Element {
  return (
    <select
      class="select"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      {options.map(([name, word]) => (
        <option key={name} value={name}>
          {word}
        </option>
      ))}
    </select>
  );
}

/** Each under its own name, below what stands for none of them. */
export const among = (none: string, names: readonly string[]): readonly Option[] => [
  ["", none],
  ...names.map((name) => [name, name] as const),
];
