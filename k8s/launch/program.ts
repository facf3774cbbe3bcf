import { createHash } from "node:crypto";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import type { Kube } from "../client/kube.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { jobSelectorOf, LABEL_PROGRAM } from "../spec/names.ts";
import { programFileOf } from "../spec/pump-container.ts";
import type { Pod } from "../spec/wire.ts";

/**
 * The program of the pumps as pods get it: in a ConfigMap whose name has its hash, so that pods of another version keep theirs.
 * @see docs/decisions/0160-a-pump-without-an-image.md
 */
export interface PumpProgram {
  /** Of the ConfigMap. */
  name: string;
  hash: string;
  text: string;
}

export interface ProgramPorts {
  kube: Kube;
  settings: Pick<PodSettings, "installationId" | "namespace">;
  program: PumpProgram;
}

/** A program; a ConfigMap can have one of up to 1 MiB. */
export function programOf(text: string): PumpProgram {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { name: `tyger-pump-${hash}`, hash, text };
}

/** Makes the ConfigMap of the program, unless it is there. */
export async function provideProgram({ kube, settings, program }: ProgramPorts): Promise<void> {
  const { name, hash, text } = program;
  if (await kube.hasConfigMap(name)) return;
  const { installationId, namespace } = settings;
  await kube.createConfigMap({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels: { [LABEL_INSTALLATION]: installationId, [LABEL_PROGRAM]: hash } },
    // Nodes then do not ask for changes of it.
    immutable: true,
    data: programFileOf(text),
  });
}

/**
 * Removes the programs of other versions that no pod has. A worker of another version could be about to create such a pod: this
 * is for a process that is older than any update takes.
 */
export async function removeOldPrograms({ kube, settings, program }: ProgramPorts): Promise<void> {
  const { installationId } = settings;
  const all = await kube.listConfigMaps(`${LABEL_INSTALLATION}=${installationId},${LABEL_PROGRAM}`);
  const others = all.filter(({ name }) => name !== program.name);
  if (others.length === 0) return;
  const used = new Set((await kube.listPods(jobSelectorOf(installationId))).pods.flatMap(programsOf));
  for (const meta of others) if (!used.has(meta.name)) await kube.deleteConfigMap(meta);
}

const programsOf = ({ spec }: Pod): (string | undefined)[] =>
  (spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources?.map(({ configMap }) => configMap?.name) ?? []);
