import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { build, type BuildOptions, type Plugin } from "esbuild";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import { fileURLToPath } from "node:url";
import { VIEWER_FILES } from "./api/http/viewer-files.ts";

/**
 * Builds dist/: one bundle a process, with source maps, and the workflow bundle. Node refuses to strip types below
 * node_modules, and a bundle starts five times as fast as the files it is made of.
 */
const unfinished = `dist.${process.pid}`;
const shared: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  sourcemap: true,
  logLevel: "warning",
  outdir: unfinished,
  packages: "external",
};

/**
 * Takes what our files import from the runtime straight from its modules, without the ES modules around them: making
 * those reads all exports, and some of them load much more (`node:http` an HTTP client of 50 ms, `node:fs` its streams),
 * which every command would pay for.
 */
const plainBuiltins: Plugin = {
  name: "plain-builtins",
  setup(hooks) {
    const named = /^import \{([^}]+)\} from "(node:[^"]+)";$/gm;
    hooks.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const contents = text.replace(named, (_whole, names: string, module: string) => {
        const values = names.split(",").filter((name) => name.trim() !== "" && !name.trim().startsWith("type "));
        return `const {${values.join(",").replace(/ as /g, ": ")}} = process.getBuiltinModule("${module}");`;
      });
      return { contents, loader: "ts" };
    });
  },
};

/** A runtime that is too old fails with one sentence, before it meets syntax that it does not know. */
const REFUSE_OLD_NODE = `{
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 22 || (major === 22 && minor < 19)) {
    process.stderr.write("Error: tyger needs Node 22.19 or newer; '" + process.execPath + "' is " + process.version + "\\n");
    process.exit(1);
  }
}
`;

const chunkNames = "chunks/[name]-[hash]";
/** A program that contains what it imports: finding packages on disk would cost more than running them. */
const alone: BuildOptions = {
  ...shared,
  packages: "bundle",
  plugins: [plainBuiltins],
  splitting: true,
  chunkNames,
  // Every command pays for each byte that is parsed.
  minifyWhitespace: true,
  minifySyntax: true,
  // CommonJS packages in the bundle require only built-in modules at run time.
  banner: { js: `${REFUSE_OLD_NODE}const require = process.getBuiltinModule;` },
};

await mkdir(`${unfinished}/viewer`, { recursive: true });
// A build that fails leaves nothing; one that succeeds has moved it.
process.once("exit", () => rmSync(unfinished, { recursive: true, force: true }));
await Promise.all([
  build({ ...alone, entryPoints: { cli: "cli/main.ts" } }),
  // Apart from the CLI: code that two programs share is a chunk more for both to load.
  build({ ...alone, entryPoints: { pump: "pump/main.ts" } }),
  // Programs load YAML only for a login file that needs it.
  build({ ...shared, splitting: true, chunkNames, entryPoints: { client: "client/index.ts" } }),
  build({
    ...shared,
    entryPoints: {
      api: "api/main.ts",
      worker: "worker/main.ts",
      supervisor: "stack/supervisor-main.ts",
      programs: "workflows/programs.ts",
    },
  }),
  declare(["workflows/programs.ts", "client/index.ts"], `${unfinished}/types`),
  // The page of the OpenAPI document: users install these files and not the package of 12 MB that they are from.
  ...[...VIEWER_FILES, "LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"].map((name) =>
    copyFile(`node_modules/swagger-ui-dist/${name}`, `${unfinished}/viewer/${name}`),
  ),
  bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL("workflows/index.ts", import.meta.url)),
    logger: new DefaultLogger("WARN"),
  }).then(({ code }) => writeFile(`${unfinished}/workflows.js`, code)),
]);

// The launcher starts this very Node; the stamp is older than no source, for it is written last.
await writeFile(`${unfinished}/node-path`, `${process.execPath}\n`);
await writeFile(`${unfinished}/.built`, "");
// A stack that runs from here must find a whole build at any moment: the old one leaves as the new one comes.
const replaced = `${unfinished}.old`;
await rename("dist", replaced).catch(() => undefined);
await rename(unfinished, "dist");
await rm(replaced, { recursive: true, force: true });

/** Writes the declarations of `entries` and of the files that they import. */
async function declare(entries: readonly string[], outDir: string): Promise<void> {
  const flags = ["--ignoreConfig", "--declaration", "--emitDeclarationOnly", "--rewriteRelativeImportExtensions"];
  // As tsconfig.json has it, so that a file that passes there passes here.
  const strict = ["--strict", "--exactOptionalPropertyTypes"];
  const dialect = ["--module", "nodenext", "--target", "esnext", ...strict, "--skipLibCheck", "--types", "node"];
  const args = [
    "node_modules/typescript/bin/tsc",
    ...flags,
    ...dialect,
    "--rootDir",
    ".",
    "--outDir",
    outDir,
    ...entries,
  ];
  const compiling = spawn(process.execPath, args, { stdio: ["ignore", 2, 2] });
  const [code] = (await once(compiling, "exit")) as [number | null];
  if (code !== 0) throw new Error(`The declarations of '${entries.join("' and '")}' could not be written`);
}
