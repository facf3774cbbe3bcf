/**
 * Which run it is. A restored database can give out a number a second time, so that a number alone never says it. A run
 * that was created before runs had uids has none, and nothing of it has one.
 */
export interface RunIdentity {
  id: number;
  uid?: string;
}

/** An identity in the arguments of workflows and activities: workflows of runs without a uid were begun with a number. */
export type RunReference = number | RunIdentity;

/** The reference that both this version and the one that began the run's workflow understand. */
export const referenceTo = ({ id, uid }: RunIdentity): RunReference => (uid === undefined ? id : { id, uid });

export const identityOf = (run: RunReference): RunIdentity => (typeof run === "number" ? { id: run } : run);

/** Undefined for a value of another shape: every program can start a workflow, with whatever argument it has. */
export function parseReference(value: unknown): RunIdentity | undefined {
  const { id, uid }: { id?: unknown; uid?: unknown } = Object(typeof value === "number" ? { id: value } : value);
  return typeof id === "number" && (uid === undefined || typeof uid === "string")
    ? parseIdentity(String(id), uid)
    : undefined;
}

export const isSameRun = (a: RunIdentity, b: RunIdentity): boolean => a.id === b.id && a.uid === b.uid;

/** In names of folders and files. */
export const textOf = ({ id, uid }: RunIdentity): string => (uid === undefined ? String(id) : `${id}-${uid}`);

/** Undefined when the number or the uid cannot be one of ours: another program may have written them. */
export function parseIdentity(id: string | undefined, uid: string | undefined): RunIdentity | undefined {
  if (id === undefined || !/^[0-9]{1,15}$/.test(id)) return undefined;
  if (uid === undefined) return { id: Number(id) };
  return /^[a-z0-9]{1,40}$/.test(uid) ? { id: Number(id), uid } : undefined;
}

/** The run in the name of a folder or a file, without its ending. */
export function identityInName(name: string): RunIdentity | undefined {
  const [, id, uid] = /^([0-9]+)(?:-([a-z0-9]+))?$/.exec(name) ?? [];
  return parseIdentity(id, uid);
}

/** Why a run ends that meets something of another one. */
export const belongsToAnother = (thing: string, id: number): string =>
  `${thing} belongs to another run with the number ${id}`;
