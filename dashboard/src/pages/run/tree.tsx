/** The runs that this one began, and those that began it: a tree of links. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Run, Tree, TreeRun } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Status } from "../../parts/status";
import { length, now } from "../../parts/time";
import { toRun } from "../../place";
import { idsOf } from "./branches";

const HOW: Record<NonNullable<TreeRun["how"]>, string> = {
  invoked: "invoked by",
  deferred: "left to be started at the end",
  failed: "handles the failure",
};

/** The tree of a run, asked for again when a run of it changes. */
export function useTree(id: string): Tree | undefined {
  const known = useRef<ReadonlySet<string>>(new Set());
  const { data } = useAnswer(`tree/${id}`, (signal) => api.tree(id, signal), {
    on: (changes) => [...changes.runs].some((one) => one === id || known.current.has(one)),
  });
  known.current = new Set(data ? idsOf(data.root) : []);
  return data;
}

export function RunTree({ tree }: { tree: Tree }): JSX.Element | null {
  if (!tree.root.children?.length) return null;
  return (
    <section class="tree-part" aria-labelledby="tree-title">
      <h2 id="tree-title">Runs that began each other</h2>
      <div class="card tree">
        <ul>
          <Branch node={tree.root} here={tree.runId} />
        </ul>
        {tree.isCut && <p class="soft small">There are more; these are the first.</p>}
      </div>
    </section>
  );
}

function Branch({ node, here }: { node: TreeRun; here: string }): JSX.Element {
  const { run } = node;
  return (
    <li>
      <a class="tree-run" href={toRun(run.id)} aria-current={run.id === here ? "page" : undefined}>
        <Status status={run.status} bare />
        <bdi class="strong">{run.function.name}</bdi>
        {node.how && (
          <span class="soft small tree-how">
            {HOW[node.how]} {node.stepName && <bdi>{node.stepName}</bdi>}
          </span>
        )}
        <span class="push number soft">{lasted(run)}</span>
      </a>
      {node.children && node.children.length > 0 && (
        <ul>
          {node.children.map((child) => (
            <Branch key={child.run.id} node={child} here={here} />
          ))}
        </ul>
      )}
    </li>
  );
}

function lasted(run: Run): string {
  if (!run.startedAt) return "–";
  const end = run.endedAt ? Date.parse(run.endedAt) : now.value;
  return length(Math.max(end - Date.parse(run.startedAt), 0));
}
