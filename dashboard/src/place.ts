/** Addresses of the pages, below the place the dashboard is mounted at. */

/** The mount point: "/" or "/a/b/". */
export const BASE = new URL(document.baseURI).pathname;

/** A page's address, as links write it. */
export const to = (page: string): string => BASE + page;

export const toRun = (id: string): string => to(`runs/${encodeURIComponent(id)}`);
export const toEvent = (id: string): string => to(`events/${encodeURIComponent(id)}`);
export const toReplay = (app: string, slug: string): string =>
  `${to("replay")}?${new URLSearchParams({ app, function: slug })}`;
export const toFunction = (app: string, slug: string): string =>
  to(`functions/${encodeURIComponent(app)}/${encodeURIComponent(slug)}`);
