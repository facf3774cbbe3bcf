import type { Patience } from "./cluster-settings.ts";
import type { ContainerStatus, Pod } from "./wire.ts";

/** Reasons for waiting after which no image will come. */
const FINAL: ReadonlySet<string> = new Set(["ErrImageNeverPull", "InvalidImageName", "SignatureValidationFailed"]);
/** Reasons that can pass, as when a registry restarts. */
const PASSING: ReadonlySet<string> = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "ImageInspectError",
  "RegistryUnavailable",
]);
const BACKS_OFF = "ImagePullBackOff";
/** The node itself limits how often it pulls: the image was not even asked for. */
const THROTTLED = /pull QPS exceeded/i;

export interface PullTrouble {
  /** For the user: the image, the reason, and the words of the runtime. */
  message: string;
  /** When the trouble is the end of the pod, in epoch milliseconds of the cluster; undefined if it never is. */
  finalAtMs: number | undefined;
}

export interface PullOptions {
  /** Whether users choose the image of a container. */
  isOfUser: (container: string) => boolean;
  /** The containers in question; by default all. */
  counts?: (container: string) => boolean;
}

/** A container that waits for its image, and how the cluster dates the time for which it has. */
interface Waiting {
  status: ContainerStatus;
  patienceMs: number;
  since: "PodScheduled" | "Initialized";
}

/**
 * The trouble of a pod with the images of its containers; undefined without any.
 * @param earlier the message of the trouble that was seen before, for a cluster that then only says that it backs off
 * @see https://kubernetes.io/docs/concepts/containers/images/
 */
export function pullTroubleOf(
  { status, metadata }: Pod,
  { isOfUser, counts = () => true }: PullOptions,
  patience: Pick<Patience, "userImageMs" | "systemImageMs">,
  earlier?: string,
): PullTrouble | undefined {
  const patienceOf = (container: string): number =>
    isOfUser(container) ? patience.userImageMs : patience.systemImageMs;
  const waiting: Waiting[] = [
    ...(status?.initContainerStatuses ?? []).map((init) => ({
      status: init,
      patienceMs: patienceOf(init.name),
      since: "PodScheduled" as const,
    })),
    ...(status?.containerStatuses ?? []).map((container) => ({
      status: container,
      patienceMs: patienceOf(container.name),
      since: "Initialized" as const,
    })),
  ];
  const counted = waiting.filter(({ status: { name } }) => counts(name));
  const troubles = counted.flatMap(({ status: { image, state }, patienceMs, since }) => {
    const { reason = "", message } = state?.waiting ?? {};
    if (!FINAL.has(reason) && !PASSING.has(reason)) return [];
    const saysWhy = message !== undefined && (reason !== BACKS_OFF || /: /.test(message.replace(/"[^"]*"/g, "")));
    const isOfImage = earlier?.startsWith(beginningOf(image));
    const text = !saysWhy && earlier && isOfImage ? earlier : textOf(image, reason, message);
    if (FINAL.has(reason)) return [{ message: text, finalAtMs: -Infinity }];
    if (THROTTLED.test(text)) return [{ message: text, finalAtMs: undefined }];
    const condition = status?.conditions?.find(({ type }) => type === since);
    const sinceAt = condition?.lastTransitionTime ?? metadata?.creationTimestamp;
    return [{ message: text, finalAtMs: sinceAt === undefined ? undefined : Date.parse(sinceAt) + patienceMs }];
  });
  return troubles.toSorted((a, b) => (a.finalAtMs ?? Infinity) - (b.finalAtMs ?? Infinity))[0];
}

const beginningOf = (image: string): string => `The image '${image}' cannot be pulled: `;

const textOf = (image: string, reason: string, message: string | undefined): string =>
  beginningOf(image) + (message ? `${reason}: ${message}` : reason);
