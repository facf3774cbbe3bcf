/** For the whole answer: a request waits for it. */
const ANSWER_MS = 5000;
const MOST_BYTES = 1 << 20;

/** The JSON at `url`, which must answer soon, with little, and itself. @throws Error */
export async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const answer = await fetch(url, {
    redirect: "error",
    headers: { accept: "application/json" },
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  }).catch((err: unknown) => {
    // The system's error is below the one of the library, which only says that it failed.
    throw err instanceof Error && err.cause instanceof Error ? err.cause : err;
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new Error(`'${url}' answered with the status ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > MOST_BYTES) throw new Error(`the answer of '${url}' is longer than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (err) {
    throw new Error(`the answer of '${url}' is not JSON`, { cause: err });
  }
}
