/** The list of runs: newest first, as the address says. */

import type { JSX } from "preact";
import { useLocation } from "preact-iso";
import { Refused } from "../../api/http";
import { Search } from "../../condition/search";
import { Newer } from "../../live/newer";
import { LiveToggle } from "../../live/toggle";
import { Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { to } from "../../place";
import { BulkButton, Bulks } from "./bulk";
import { ColumnsMenu } from "./columns_menu";
import { type Filter, filterOf, isSearch, narrows, searchOf } from "./filter";
import { FilterBar } from "./filter_bar";
import { useRuns } from "./list";
import { RunList } from "./run_list";
import { SavedViews } from "./saved_views";
import "./runs.css";

export function RunsPage(): JSX.Element {
  const { url, route } = useLocation();
  const filter = filterOf(new URL(url, location.origin).searchParams);
  const change = (next: Filter) => route(to("runs") + searchOf(next));
  const { runs, newer, error, more, partial, loadMore, again } = useRuns(filter);
  const refused = error instanceof Refused && error.message.startsWith("query: ");
  return (
    <>
      <div class="bar">
        <h1>Runs</h1>
        <span class="push" />
        <ColumnsMenu
          columns={filter.columns}
          onChange={(columns) => change({ ...filter, columns })}
        />
        <BulkButton filter={filter} />
        {isSearch(filter) ? (
          <button type="button" class="button" onClick={again}>
            <Icon name="again" size={14} />
            Search again
          </button>
        ) : (
          <LiveToggle />
        )}
      </div>
      <div class="content">
        <Search
          what="runs"
          query={filter.query}
          refused={refused ? error.message : ""}
          onQuery={(query) => change({ ...filter, query })}
        />
        <FilterBar filter={filter} onChange={change} />
        <SavedViews search={searchOf(filter)} />
        <Bulks />
        {error && !refused && <Wrong error={error} again={again} />}
        <Newer count={newer} />
        {runs && (runs.length > 0 || !partial) && (
          <RunList runs={runs} narrowed={narrows(filter)} columns={filter.columns} />
        )}
        {partial && (
          <p class="partial soft" role="status">
            Two seconds were not enough to look at every run
            {runs?.length === 0 ? "; none that was looked at matches" : ""}.
          </p>
        )}
        {more && (
          <button type="button" class="button more" onClick={loadMore}>
            {partial ? "Search on" : "Show more"}
          </button>
        )}
      </div>
    </>
  );
}
