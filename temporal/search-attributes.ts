import { isGrpcServiceError, ServiceError, type Client, type WorkflowStartOptions } from "@temporalio/client";
import { SEARCH_ATTRIBUTES } from "../workflows/search-attributes.ts";

/** They can be added and removed at any time; asking for each run would cost it a call. */
const TRUE_FOR_MS = 5000;
const ASK_MS = 2000;
/** Temporal's number for the type of ours. */
const KEYWORD = 2;

/** gRPC's numbers for a server that does not let us ask: it will not let us set them either. */
const DENIED: ReadonlySet<number> = new Set([7, 12]);

/**
 * Tells whether the namespace has our search attributes, as of at most 5 s ago: a workflow that sets unknown ones cannot continue.
 * While Temporal does not answer, the last answer counts, because a run that ends meanwhile would be shown as running forever.
 */
export function searchAttributeCheck(client: Client): () => Promise<boolean> {
  const { namespace } = client.options;
  let answer: Promise<boolean> | undefined;
  let askedAtMs = 0;
  let last = false;

  const ask = async (): Promise<boolean> => {
    try {
      const listed = client.withDeadline(Date.now() + ASK_MS, () =>
        client.connection.operatorService.listSearchAttributes({ namespace }),
      );
      const { customAttributes } = await listed;
      last = Object.values(SEARCH_ATTRIBUTES).every(({ name }) => Number(customAttributes?.[name]) === KEYWORD);
    } catch (err) {
      if (isGrpcServiceError(err) && DENIED.has(err.code)) last = false;
    }
    return last;
  };

  return () => {
    if (answer === undefined || performance.now() - askedAtMs > TRUE_FOR_MS) {
      askedAtMs = performance.now();
      answer = ask();
    }
    return answer;
  };
}

type Tags = Pick<WorkflowStartOptions, "typedSearchAttributes">;

/** gRPC's number for a request that is refused as it is. */
const INVALID_ARGUMENT = 3;
/** For how long no start tries them again in a namespace that refused them. */
const REFUSED_FOR_MS = 60_000;

/** Starts workflows with search attributes where the namespace takes them, and without where it does not. */
export function createTagging() {
  let refusedAtMs = Number.NEGATIVE_INFINITY;
  return {
    async start<T>(tags: Tags["typedSearchAttributes"] & object, start: (given: Tags) => Promise<T>): Promise<T> {
      if (performance.now() - refusedAtMs < REFUSED_FOR_MS) return start({});
      try {
        return await start({ typedSearchAttributes: tags });
      } catch (err) {
        if (!isRefused(err)) throw err;
        const started = await start({});
        // Only if it was they that were refused.
        refusedAtMs = performance.now();
        return started;
      }
    },
  };
}

function isRefused(err: unknown): boolean {
  if (!(err instanceof ServiceError) || !isGrpcServiceError(err.cause)) return false;
  const { code }: { code: number } = err.cause;
  return code === INVALID_ARGUMENT;
}
