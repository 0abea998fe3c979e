// Bundles the page into dist/ (fixed names, so that a diff of it can be read), or with --tests the unit tests into build/tests/.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
process.chdir(root);

const common = {
  bundle: true,
  target: ["es2022", "chrome105", "firefox110", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
};

async function page() {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync("dist", { recursive: true });
  await build({
    ...common,
    entryPoints: { app: "src/main.tsx" },
    outdir: "dist",
    format: "esm",
    minify: true,
    legalComments: "none",
    charset: "utf8",
  });
  await build({ ...common, entryPoints: { app: "src/styles/app.css" }, outdir: "dist", minify: true, legalComments: "none" });
  for (const name of ["index.html", "favicon.svg"]) copyFileSync(join("public", name), join("dist", name));
}

async function tests() {
  rmSync("build/tests", { recursive: true, force: true });
  const entryPoints = readdirSync("tests").filter((name) => name.endsWith(".test.ts")).map((name) => join("tests", name));
  await build({ ...common, target: "node20", entryPoints, outdir: "build/tests", format: "esm", platform: "node", outExtension: { ".js": ".mjs" } });
}

await (process.argv.includes("--tests") ? tests() : page());
