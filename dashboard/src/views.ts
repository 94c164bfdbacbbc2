/** Filters of the runs page that the reader keeps under a name. */

import { keptAs } from "./kept";

export interface View {
  readonly name: string;
  /** The part of the address that is the filter: "?status=FAILED". */
  readonly search: string;
}

const VIEWS_MAX = 50;

export const views = keptAs<View>("stepwell.views", VIEWS_MAX, (view) =>
  /^(\?.*)?$/.test(String(view.search)),
);
