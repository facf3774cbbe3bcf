/** How one process of the stack is started, known to be ready, and ended. */
export interface ProcessSpec {
  name: string;
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  /** Another user to run as; needs root. */
  user?: { uid: number; gid: number };
  logFile: string;
  stopSignal: NodeJS.Signals;
  /** Time between `stopSignal` and SIGKILL. */
  graceMs: number;
  /** Runs before each start; what it throws counts as a failed start. */
  prepare?(): Promise<void>;
  isReady(pid: number): Promise<boolean>;
  /** Runs once each time the process became ready; a failure is only logged. */
  whenReady?(): Promise<void>;
}
