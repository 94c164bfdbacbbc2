import path from "node:path";

const root = path.join(import.meta.dirname, "..");
const python = process.env.PYTHON_ORIGIN;

// Once deployed, the platform serves api/inngest.py itself.
const rewrites = async () =>
  process.env.NODE_ENV === "development"
    ? [{ source: "/api/inngest", destination: `${python}/api/inngest` }]
    : [];

export default { rewrites, turbopack: { root }, outputFileTracingRoot: root, devIndicators: false };
