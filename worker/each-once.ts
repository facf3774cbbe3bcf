interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

/** Warns of each thing once: an engine or a disk that is away for days is asked again every few seconds. */
export function eachOnce(log: Log): Log {
  const known = new Set<string>();
  return {
    info: (facts, message) => log.info(facts, message),
    warn(facts, message) {
      const text = JSON.stringify([message, facts]);
      if (known.has(text)) return;
      known.add(text);
      log.warn(facts, message);
    },
  };
}
