/**
 * How the server's resources are printed: their fields in one order, empty ones left out, instants with `Z` and all their
 * digits. What is not named here is not shown.
 */
interface Shape {
  readonly [field: string]: Kind;
}
type Kind = "value" | "instant" | "map" | "list" | Shape | readonly [Shape];

const RESOURCE_QUANTITIES: Shape = { cpu: "value", memory: "value" };

const CODESPEC: Shape = {
  kind: "value",
  name: "value",
  version: "value",
  createdAt: "instant",
  buffers: { inputs: "list", outputs: "list" },
  sockets: [{ port: "value", inputBuffer: "value", outputBuffer: "value" }],
  image: "value",
  command: "list",
  args: "list",
  workingDir: "value",
  env: "map",
  identity: "value",
  resources: { requests: RESOURCE_QUANTITIES, limits: RESOURCE_QUANTITIES, gpu: "value", shm: "value" },
  maxReplicas: "value",
  endpoints: "map",
};

const TARGET: Shape = {
  codespec: CODESPEC,
  buffers: "map",
  tags: "map",
  bufferTtl: "value",
  nodePool: "value",
  replicas: "value",
};

const RUN_SYSTEM: Shape = {
  id: "value",
  status: "value",
  statusReason: "value",
  runningCount: "value",
  createdAt: "instant",
  startedAt: "instant",
  finishedAt: "instant",
};

const RUN: Shape = {
  ...RUN_SYSTEM,
  kind: "value",
  job: TARGET,
  worker: TARGET,
  cluster: "value",
  timeoutSeconds: "value",
  tags: "map",
  eTag: "value",
  bufferAccessTtl: "value",
};

const BUFFER: Shape = {
  id: "value",
  createdAt: "instant",
  location: "value",
  tags: "map",
  eTag: "value",
  expiresAt: "instant",
};

/** A buffer as it is printed. */
export const shownBuffer = (buffer: unknown): unknown => shownAs(BUFFER, buffer) ?? {};
/** A codespec as it is printed. */
export const shownCodespec = (codespec: unknown): Fields => (shownAs(CODESPEC, codespec) ?? {}) as Fields;
/** A run as it is printed. */
export const shownRun = (run: unknown): Fields => (shownAs(RUN, run) ?? {}) as Fields;
/** What the system says of a run, without what it was asked to do. */
export const shownRunSystem = (run: unknown): unknown => shownAs(RUN_SYSTEM, run) ?? {};

/** An object on several lines, with its line feed. */
export const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** `value` by its shape, undefined when nothing of it is left. A codespec may also be a reference. */
function shownAs(kind: Kind, value: unknown): unknown {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return kind === "instant" ? shownInstant(value) : value;
  if (Array.isArray(value)) {
    if (value.length === 0) return undefined;
    const [itemKind = "value"] = Array.isArray(kind) ? (kind as readonly Kind[]) : [];
    return value.map((item) => shownAs(itemKind, item) ?? item);
  }
  if (typeof value !== "object") return value;
  const entries: [string, unknown][] =
    typeof kind === "object" && !Array.isArray(kind)
      ? Object.entries(kind as Shape).map(([name, inner]) => [name, shownAs(inner, (value as Fields)[name])])
      : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const kept = entries.filter(([, member]) => member !== undefined);
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** UTC as `Z`, every digit but trailing zeros. */
export function shownInstant(text: string): string {
  const { seconds, fraction = "" } =
    /^(?<seconds>[^.]+?)(?:\.(?<fraction>[0-9]+?)0*)?(?:Z|\+00:00)$/.exec(text)?.groups ?? {};
  if (seconds === undefined) return text;
  return `${seconds}${fraction === "" || fraction === "0" ? "" : `.${fraction}`}Z`;
}
