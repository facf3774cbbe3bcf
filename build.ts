import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { build, type CodeSplittingNameFunction, type InputOptions, type OutputOptions, type Plugin } from "rolldown";
import { VIEWER_FILES } from "./api/http/viewer-files.ts";
import { bundlePodPump } from "./pump/pod-bundle.ts";
import { bundleWorkflows } from "./worker/workflow-bundle.ts";

/**
 * Builds dist/: one bundle a process, with source maps, and the workflow bundle. Node refuses to strip types below
 * node_modules, and a bundle starts five times as fast as the files it is made of.
 */
const unfinished = `dist.${process.pid}`;
/**
 * Takes what our files import from the runtime straight from its modules, without the ES modules around them: making
 * those reads all exports, and some of them load much more (`node:http` an HTTP client of 50 ms, `node:fs` its streams),
 * which every command would pay for.
 */
const plainBuiltins: Plugin = {
  name: "plain-builtins",
  // At loading, so that source maps lead to these lines: they are as many as in the file.
  load: {
    filter: { id: /\.ts$/ },
    async handler(path) {
      const text = await readFile(path, "utf8");
      const named = /^import \{([^}]+)\} from "(node:[^"]+)";$/gm;
      const code = text.replace(named, (whole, names: string, module: string) => {
        const values = names.split(",").filter((name) => name.trim() !== "" && !name.trim().startsWith("type "));
        const lines = whole.split("\n").length;
        const line = `const {${values.join(",").replace(/ as /g, ": ")}} = process.getBuiltinModule("${module}");`;
        return line + "\n".repeat(lines - line.split("\n").length);
      });
      return { code, moduleType: "ts" };
    },
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

/** Bundles one program or several into dist/, each with its source map. */
async function bundle(input: Record<string, string>, options: InputOptions, output: OutputOptions = {}): Promise<void> {
  await build({
    ...options,
    input,
    platform: "node",
    transform: { target: "node22" },
    output: {
      dir: unfinished,
      format: "esm",
      sourcemap: true,
      entryFileNames: "[name].js",
      chunkFileNames: "chunks/[name]-[hash].js",
      ...output,
    },
  });
}

/** A program whose packages are installed beside it; what the bundler adds for an older runtime is in the program. */
const withPackages: InputOptions = {
  external: (id) => /^[\w@]/.test(id) && !id.startsWith("@oxc-project/runtime/"),
};

/**
 * A program that contains its packages: finding them on disk would take longer than running them. A command pays for each
 * file that is loaded and for each byte that is parsed.
 */
const alone = (input: Record<string, string>, isTogether?: CodeSplittingNameFunction): Promise<void> =>
  bundle(
    input,
    { plugins: [plainBuiltins] },
    {
      banner: ({ isEntry }) => (isEntry ? REFUSE_OLD_NODE : ""),
      minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
      ...(isTogether && { codeSplitting: { groups: [{ name: isTogether, debugName: "core" }] } }),
    },
  );

/**
 * The files that `run show` loads are one chunk: nearly every command needs most of them.
 * @see docs/decisions/0067-what-run-show-loads.md
 */
const loadedByShow = (): CodeSplittingNameFunction => {
  const together = new Set<string>();
  return (id, modules) => {
    const add = (file: string): void => {
      if (together.has(file)) return;
      together.add(file);
      modules.getModuleInfo(file)?.importedIds.forEach(add);
    };
    if (together.size === 0) ["cli/start.ts", "cli/commands/run/show.ts"].forEach((file) => add(resolve(file)));
    return together.has(id) ? "core" : null;
  };
};

await mkdir(`${unfinished}/viewer`, { recursive: true });
// A build that fails leaves nothing; one that succeeds has moved it.
process.once("exit", () => rmSync(unfinished, { recursive: true, force: true }));
await Promise.all([
  alone({ cli: "./cli/main.ts" }, loadedByShow()),
  // Apart from the CLI: code that two programs share is a chunk more for both to load.
  alone({ pump: "./pump/main.ts" }),
  bundlePodPump().then((text) => writeFile(`${unfinished}/pod-pump.js`, text)),
  // Programs load YAML only for a login file that needs it.
  bundle({ client: "./client/index.ts" }, withPackages),
  ...[
    { api: "./api/main.ts" },
    { worker: "./worker/main.ts" },
    { supervisor: "./stack/supervisor-main.ts" },
    { "store-probe": "./stack/store-probe-main.ts" },
    { cluster: "./k8s/admin-main.ts" },
    { programs: "./workflows/programs.ts" },
  ].map((program) => bundle(program, withPackages)),
  declare(["workflows/programs.ts", "client/index.ts"], `${unfinished}/types`),
  // The page of the OpenAPI document: users install these files and not the package of 12 MB that they are from.
  ...[...VIEWER_FILES, "LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"].map((name) =>
    copyFile(`node_modules/swagger-ui-dist/${name}`, `${unfinished}/viewer/${name}`),
  ),
  bundleWorkflows().then(({ code }) => writeFile(`${unfinished}/workflows.js`, code)),
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
