import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUT = "../stepwell/server/dashboard/static";
const SMALL_BYTES = 512;

/** Writes each file a second and a third time, compressed, so that the server never has to. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(OUT, { recursive: true, encoding: "utf8" })) {
        const path = join(OUT, name);
        // The page itself is made for each place it is mounted at.
        if (!statSync(path).isFile() || name === "index.html") continue;
        const body = readFileSync(path);
        if (body.length < SMALL_BYTES) continue;
        writeFileSync(`${path}.br`, brotliCompressSync(body));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

// The server writes the address it is mounted at into <base>; every address is relative to it.
export default defineConfig({
  base: "./",
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // An asset in the text of a script would be against the page's security policy.
    assetsInlineLimit: 0,
    // One style for all: a page uses parts of others, and none is to be seen without its own.
    cssCodeSplit: false,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [compressed()],
  server: { proxy: { "/api": "http://127.0.0.1:8288", "/v1": "http://127.0.0.1:8288" } },
});
