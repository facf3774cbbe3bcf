import { resolve } from "node:path";
import type { ComputeChoice } from "../../../stack/kubernetes.ts";
import { describeStack, serverUrlOf } from "../../../stack/status.ts";
import { up } from "../../../stack/up.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { withInterrupt } from "../../terminal/interrupt.ts";
import { readLogin } from "../../../client/login-file.ts";
import { writeLogin } from "../../../client/login-writer.ts";

export default command({
  meta: { name: "up", description: "Start the local stack in the background and log in to it" },
  examples: [
    "tyger up",
    "TYGER_DATA_DIR=/data/tyger tyger up",
    "tyger up --store gs://my-bucket/team",
    "tyger up --kubeconfig ~/.kube/config --context dev",
    "tyger up --docker",
  ],
  args: {
    store: {
      type: "string",
      valueHint: "url",
      description: "Keep new buffers and logs in gs://BUCKET[/PREFIX], or in the data folder again: local",
    },
    kubeconfig: {
      type: "string",
      valueHint: "file",
      suggest: "file",
      description: "Run jobs as pods of this cluster, until an 'up' with other flags",
    },
    context: { type: "string", description: "Context of the kubeconfig, if not its current one" },
    namespace: { type: "string", description: "Existing namespace for jobs; the default is one of the stack's own" },
    "pump-image": {
      type: "string",
      valueHint: "image",
      description: "Image of the containers that move data in pods: any with Node 22.19 and mkfifo",
    },
    docker: { type: "boolean", description: "Run jobs on Docker again" },
  },
  async run({ args, host, log }) {
    const compute = choiceOf(args);
    const config = await host.config.stack();
    const { view, hasStarted } = await withInterrupt(host, log, (signal) =>
      up(config, (line) => log.info(line), signal, { store: args.store, compute }),
    );
    const serverUrl = serverUrlOf(view);
    const { loginFile } = config;
    if (!loginFile)
      log.warn("not logged in, because there is no folder for the login file: set TYGER_CACHE_FILE or HOME");
    else if ((await readLogin(loginFile).catch(() => undefined))?.serverUrl !== serverUrl) {
      writeLogin(loginFile, { serverUrl, proxy: "auto" });
    }
    if (hasStarted) await writeAll(host.stderr, describeStack(view, config));
    else log.info("the stack is already up");
  },
});

interface UpArgs {
  kubeconfig: string | undefined;
  context: string | undefined;
  namespace: string | undefined;
  "pump-image": string | undefined;
  docker: boolean;
}

/** @throws Error for flags that do not fit together */
function choiceOf({ kubeconfig, docker, context, namespace, "pump-image": pumpImage }: UpArgs): ComputeChoice {
  if (kubeconfig !== undefined) {
    if (docker) throw new Error("--docker cannot be combined with --kubeconfig");
    return {
      kubeconfig: resolve(kubeconfig),
      ...(context !== undefined && { context }),
      ...(namespace !== undefined && { namespace }),
      ...(pumpImage !== undefined && { pumpImage }),
    };
  }
  const more = { context, namespace, "pump-image": pumpImage };
  const [alone] = Object.entries(more).find(([, value]) => value !== undefined) ?? [];
  if (alone !== undefined) throw new Error(`--${alone} requires --kubeconfig`);
  return docker ? "docker" : undefined;
}
