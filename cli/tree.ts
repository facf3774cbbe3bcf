import type { Branch } from "./line/branch.ts";

/** All commands. A new command is a file in commands/ and a line here; its file is loaded only when it is used. */
export const TREE: Branch = {
  description: "Run containers as durable workflows, with buffers for input and output",
  commands: {
    codespec: {
      aliases: ["codespecs"],
      description: "What a run executes: image, command, parameters",
      commands: {
        create: { load: () => import("./commands/codespec/create.ts") },
        show: { aliases: ["get"], load: () => import("./commands/codespec/show.ts") },
        list: { load: () => import("./commands/codespec/list.ts") },
      },
    },
    buffer: {
      aliases: ["buffers"],
      description: "Byte streams that runs read and write",
      commands: {
        create: { load: () => import("./commands/buffer/create.ts") },
        show: { aliases: ["get"], load: () => import("./commands/buffer/show.ts") },
        read: { load: () => import("./commands/buffer/read.ts") },
        write: { load: () => import("./commands/buffer/write.ts") },
        access: { load: () => import("./commands/buffer/access.ts") },
        gen: { load: () => import("./commands/buffer/gen.ts") },
      },
    },
    run: {
      aliases: ["runs"],
      description: "Executions of codespecs",
      commands: {
        exec: { load: () => import("./commands/run/exec.ts") },
        create: { load: () => import("./commands/run/create.ts") },
        show: { aliases: ["get"], load: () => import("./commands/run/show.ts") },
        watch: { load: () => import("./commands/run/watch.ts") },
        set: { load: () => import("./commands/run/set.ts") },
        logs: { load: () => import("./commands/run/logs.ts") },
        cancel: { aliases: ["stop"], load: () => import("./commands/run/cancel.ts") },
        list: { load: () => import("./commands/run/list.ts") },
        counts: { aliases: ["count"], load: () => import("./commands/run/counts.ts") },
      },
    },
    login: {
      load: () => import("./commands/login/login.ts"),
      commands: { status: { load: () => import("./commands/login/status.ts") } },
    },
    logout: { load: () => import("./commands/login/logout.ts") },
    up: { load: () => import("./commands/stack/up.ts") },
    down: { load: () => import("./commands/stack/down.ts") },
    status: { load: () => import("./commands/stack/status.ts") },
    completion: { load: () => import("./commands/completion/completion.ts") },
    __complete: { isHidden: true, load: () => import("./commands/completion/complete.ts") },
  },
};
