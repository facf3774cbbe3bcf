/**
 * The result of `work`, or the reason of `signal` as soon as it is aborted. Not `Promise.race` with one promise for all
 * calls: for as long as that promise is pending it would keep every result, each chunk of a stream.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
