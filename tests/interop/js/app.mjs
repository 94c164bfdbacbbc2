// The catalogue of functions in JavaScript, served with node:http by the SDK that SDK names
// (inngest3 or inngest4). Everything a handler or a step does is noted under the token of its event;
// GET /log tells it. Run by the tests with: SDK, PORT, APP_ID, CHECKPOINT (on|off, inngest4 only),
// TRANSPORT (serve|connect) and INNGEST_DEV (the server's origin).
import http from "node:http";

const { SDK, PORT, APP_ID, CHECKPOINT = "on", TRANSPORT = "serve" } = process.env;
const sdk = await import(SDK);
const { serve } = await import(`${SDK}/node`);
const modern = SDK === "inngest4";

const client = new sdk.Inngest({
  id: APP_ID,
  ...(modern && CHECKPOINT === "off" ? { checkpointing: false } : {}),
});
const notes = new Map();
const functions = [];
const LARGE = 1_800_000;
const SECRET = "a passphrase of the tests";
const WORDS = "grüße 🚀 \u2028 \u0007 “x”";

const remember = (token, entry) => {
  if (!notes.has(token)) notes.set(token, []);
  notes.get(token).push(entry);
};
const note = (ctx, what, more = {}) =>
  remember(ctx.event.data.token, { what, attempt: ctx.attempt, at: Date.now(), run: ctx.runId, ...more });
const doing = (ctx, what, result = null) => () => {
  note(ctx, what);
  return result;
};

// v3 takes the trigger as its second argument, v4 inside the options.
const define = (name, options, handler) => {
  const trigger = { event: `${APP_ID}/${name}` };
  const all = { id: name, retries: 0, ...options };
  const made = modern
    ? client.createFunction({ ...all, triggers: [trigger] }, handler)
    : client.createFunction(all, trigger, handler);
  functions.push(made);
  return made;
};

define("no-steps", {}, async (ctx) => {
  note(ctx, "handler");
  return { n: ctx.event.data.n };
});

define("two-steps", {}, async (ctx) => {
  const a = await ctx.step.run("a", doing(ctx, "a", 1));
  const b = await ctx.step.run("b", doing(ctx, "b", a + 1));
  return [a, b];
});

define("twenty-steps", {}, async (ctx) => {
  let total = 0;
  for (let n = 0; n < 20; n++) total += await ctx.step.run(`step-${n}`, doing(ctx, `step-${n}`, n));
  return total;
});

define("three-entered", {}, async (ctx) => {
  note(ctx, "entered");
  for (const name of ["a", "b", "c"]) await ctx.step.run(name, doing(ctx, name));
  return "through";
});

define("parallel-two", {}, async (ctx) => {
  const [a, b] = await Promise.all([
    ctx.step.run("a", doing(ctx, "a", 1)),
    ctx.step.run("b", doing(ctx, "b", 2)),
  ]);
  return [a, b, await ctx.step.run("c", doing(ctx, "c", a + b))];
});

define("parallel-mixed", {}, async (ctx) => {
  const [a, slept, child] = await Promise.all([
    ctx.step.run("a", doing(ctx, "a", 1)),
    ctx.step.sleep("nap", "1s").then(() => "slept"),
    ctx.step.invoke("call", { function: child_, data: { n: 4 } }),
  ]);
  return [a, slept, child];
});

if (modern) {
  define("race", {}, async (ctx) => {
    const branch = async (name) => {
      await ctx.step.run(`${name}-1`, doing(ctx, `${name}-1`));
      return ctx.step.run(`${name}-2`, doing(ctx, `${name}-2`, name));
    };
    return ctx.group.parallel({ mode: "race" }, () => Promise.all([branch("x"), branch("y")]));
  });
}

define("sleep", {}, async (ctx) => {
  await ctx.step.run("before", doing(ctx, "before"));
  await ctx.step.sleep("nap", "1s");
  await ctx.step.run("after", doing(ctx, "after"));
  return "awake";
});

define("wait-matched", {}, async (ctx) => {
  const found = await ctx.step.waitForEvent("approval", {
    event: `${APP_ID}/approved`,
    if: "event.data.token == async.data.token && async.data.ok == true",
    timeout: "1m",
  });
  note(ctx, "resumed");
  return { by: found ? found.data.by : null };
});

define("wait-timeout", {}, async (ctx) => {
  const found = await ctx.step.waitForEvent("never", { event: "interop/never", timeout: "1s" });
  return { got: found };
});

const child_ = define("child", {}, async (ctx) => ({ doubled: ctx.event.data.n * 2 }));

const broken = define("broken-child", {}, async () => {
  throw new Error("child broke");
});

define("invoke-ok", {}, async (ctx) => ({
  child: await ctx.step.invoke("call", { function: child_, data: { n: 7 } }),
}));

define("invoke-fails", {}, async (ctx) => {
  try {
    await ctx.step.invoke("call", { function: broken, data: {} });
  } catch (error) {
    return { caught: error.message };
  }
  return "not raised";
});

define("step-retry-ok", { retries: 1 }, async (ctx) =>
  ctx.step.run("flaky", () => {
    note(ctx, "flaky");
    if (ctx.attempt === 0) throw new Error("not yet");
    return "fine";
  }),
);

define("step-exhausted-caught", { retries: 1 }, async (ctx) => {
  let caught = null;
  try {
    await ctx.step.run("broken", () => {
      note(ctx, "broken");
      throw new TypeError("always broken");
    });
  } catch (error) {
    caught = { name: error.name, message: error.message };
  }
  await ctx.step.run("after", doing(ctx, "after"));
  return caught;
});

define("step-exhausted-uncaught", { retries: 1 }, async (ctx) => {
  await ctx.step.run("broken", () => {
    note(ctx, "broken");
    throw new TypeError("always broken");
  });
});

define("function-retry", { retries: 1 }, async (ctx) => {
  note(ctx, "handler");
  if (ctx.attempt === 0) throw new Error("first time");
  return "second time";
});

const onFailure = async ({ event, attempt }) =>
  remember(event.data.event.data.token, {
    what: "on-failure",
    attempt,
    message: event.data.error.message,
    failed_run: event.data.run_id,
    function: event.data.function_id,
  });

define("function-fails", { retries: 1, onFailure }, async (ctx) => {
  note(ctx, "handler");
  throw new Error("no hope");
});

define("non-retriable", { retries: 3 }, async (ctx) => {
  note(ctx, "handler");
  throw new sdk.NonRetriableError("never again");
});

define("non-retriable-step", { retries: 3 }, async (ctx) => {
  try {
    await ctx.step.run("broken", () => {
      note(ctx, "broken");
      throw new sdk.NonRetriableError("never again");
    });
  } catch (error) {
    return { caught: error.message };
  }
  return "not raised";
});

define("retry-after", { retries: 1 }, async (ctx) => {
  note(ctx, "handler");
  if (ctx.attempt === 0) throw new sdk.RetryAfterError("later", "4s");
  return "later it was";
});

define("large-state", {}, async (ctx) => {
  let total = 0;
  for (let n = 0; n < 3; n++) {
    total += (await ctx.step.run(`large-${n}`, doing(ctx, `large-${n}`, "x".repeat(LARGE)))).length;
  }
  await ctx.step.sleep("turn", "1s"); // a fresh call, also where checkpoints kept the last one alive
  await ctx.step.run("last", doing(ctx, "last"));
  return total;
});

define("repeated-ids", {}, async (ctx) => {
  const got = [];
  for (let n = 0; n < 3; n++) got.push(await ctx.step.run("again", doing(ctx, `again-${n}`, n)));
  return got;
});

define("step-null", {}, async (ctx) => {
  const nothing = await ctx.step.run("nothing", doing(ctx, "nothing"));
  return [nothing, await ctx.step.run("after", doing(ctx, "after", "after"))];
});

define("unicode", {}, async (ctx) => [
  ctx.event.data.words,
  await ctx.step.run("schön ✓", doing(ctx, "ok", WORDS)),
]);

define("listener", {}, async (ctx) => note(ctx, "heard", { n: ctx.event.data.n }));

define("send-event", {}, async (ctx) => {
  const { token } = ctx.event.data;
  const name = `${APP_ID}/listener`;
  const { ids } = await ctx.step.sendEvent("tell", [
    { name, data: { token, n: 1 } },
    { name, data: { token, n: 2 } },
  ]);
  return ids.length;
});

// What the server says about runs, and encryption.
define("watched-ok", {}, async () => ({ n: 7 }));

define("watched-fails", {}, async () => {
  throw new Error("watched");
});

const cancelOn = [{ event: `${APP_ID}/enough`, if: "event.data.token == async.data.token" }];
define("watched-cancelled", { cancelOn }, async (ctx) => {
  await ctx.step.sleep("long", "10m");
});

const mine = `event.data.function_id.startsWith('${APP_ID}-watched-')`;
const triggers = ["finished", "failed", "cancelled"].map((end) => ({
  event: `inngest/function.${end}`,
  if: mine,
}));
const watch = async ({ event: { name, data }, attempt }) =>
  remember(data.event.data.token, {
    what: "told",
    attempt,
    name,
    run: data.run_id,
    result: data.result ?? null,
    error: data.error?.message ?? null,
  });
functions.push(
  modern
    ? client.createFunction({ id: "watch", retries: 0, triggers }, watch)
    : client.createFunction({ id: "watch", retries: 0 }, triggers, watch),
);

const named = define("event-name", {}, async ({ event }) => [event.name, event.data.n]);
define("invoked-event", {}, async (ctx) =>
  ctx.step.invoke("call", { function: named, data: { n: 7 } }),
);

if (modern) {
  const { createDefer } = await import("inngest4/experimental");
  const later = createDefer(client, { id: "later", retries: 0 }, async (ctx) => {
    const [{ runId, fnSlug }] = ctx.parents;
    await client.score({ runId, name: "late", value: true });
    remember(ctx.event.data.token, { what: "later", parent: runId, function: fnSlug });
  });
  functions.push(later);
  define("defers", {}, async (ctx) => {
    const data = { token: ctx.event.data.token };
    ctx.defer("later", { function: later, data });
    const regret = ctx.defer("regret", { function: later, data });
    await ctx.step.run("a", doing(ctx, "a"));
    regret.abort();
    return "done";
  });
}

if (modern) {
  const { encryptionMiddleware } = await import("@inngest/middleware-encryption");
  define("encrypted", { middleware: [encryptionMiddleware({ key: SECRET })] }, async (ctx) => {
    const { pin } = ctx.event.data.encrypted;
    const plain = await ctx.step.run("secret", doing(ctx, "secret", pin));
    await ctx.step.sleep("turn", "1s"); // a fresh call: the step's result comes back
    note(ctx, "seen", { pin: plain });
    return { pin: plain };
  });
}

const inngest = serve({ client, functions });
if (TRANSPORT === "connect") {
  const { connect } = await import(`${SDK}/connect`);
  await connect({ apps: [{ client, functions }], instanceId: APP_ID });
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, "http://app");
    if (url.pathname !== "/log") return inngest(request, response);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(notes.get(url.searchParams.get("token")) ?? []));
  })
  .listen(Number(PORT), "127.0.0.1");
