import path from "node:path";

// The packages, and what all projects share, lie one folder above.
const root = path.join(import.meta.dirname, "..");

export default { turbopack: { root }, outputFileTracingRoot: root, devIndicators: false };
