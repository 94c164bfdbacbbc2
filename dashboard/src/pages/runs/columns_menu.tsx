/** The choice of columns: a small menu of boxes to tick. */

import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "../../parts/icon";
import { ALL, COLUMNS, type Column, toggled } from "./columns";

interface Props {
  readonly columns: readonly Column[];
  readonly onChange: (columns: readonly Column[]) => void;
}

export function ColumnsMenu({ columns, onChange }: Props): JSX.Element {
  const id = useId();
  return (
    <span class="menu-place columns-choice">
      <button type="button" class="button" popovertarget={id}>
        <Icon name="columns" size={14} />
        Columns
      </button>
      <fieldset class="menu card" id={id} popover="auto">
        <legend class="unseen">Columns</legend>
        {ALL.map((column) => (
          <label class="menu-one" key={column}>
            <input
              type="checkbox"
              checked={columns.includes(column)}
              onChange={() => onChange(toggled(columns, column))}
            />
            {COLUMNS[column].word}
          </label>
        ))}
      </fieldset>
    </span>
  );
}
