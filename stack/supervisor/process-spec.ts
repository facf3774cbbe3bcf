/** Everything the supervisor needs to know about a process, so that it need not know which process it is. */
export interface ProcessSpec {
  name: string;
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Run as another user; requires root. */
  user?: { uid: number; gid: number };
  logFile: string;
  stopSignal: NodeJS.Signals;
  /** Between `stopSignal` and SIGKILL. */
  graceMs: number;
  /** Runs before each start; an error counts as a failed start. */
  prepare?(): Promise<void>;
  isReady(pid: number): Promise<boolean>;
  /** Runs each time the process becomes ready; a failure is only logged. */
  whenReady?(): Promise<void>;
}
