/**
 * The signals that end a command after it has cleaned up: Ctrl-C, Ctrl-\, a closed terminal, and what batch systems send
 * before they kill.
 */
export const INTERRUPT_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
export type InterruptSignal = (typeof INTERRUPT_SIGNALS)[number];

/**
 * Calls `handler` with the first of the signals that interrupt a command, but for those `ignored`; a second one ends the
 * process. Returns a function that removes the handler.
 */
export function onSignals(ignored: readonly NodeJS.Signals[], handler: (signal: InterruptSignal) => void): () => void {
  let isSecond = false;
  const listener = (signal: NodeJS.Signals): void => {
    // A terminal that closes sends SIGHUP several times: from its shell, and from the system when the shell ends.
    if (isSecond && signal === "SIGHUP") return;
    if (isSecond) return endBySignal(signal);
    isSecond = true;
    handler(signal as InterruptSignal);
  };
  const signals = INTERRUPT_SIGNALS.filter((signal) => !ignored.includes(signal));
  for (const signal of signals) process.on(signal, listener);
  return () => signals.forEach((signal) => process.off(signal, listener));
}

/**
 * Ends this process by `signal`, as if it had never been handled: a shell stops its loop only if the command died of
 * SIGINT, and a batch system records which signal ended the job.
 */
export function endBySignal(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Still here: the first process of a container does not die of a signal that it does not handle.
  process.exit(1);
}
