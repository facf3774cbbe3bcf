/** The exit codes of a program that a signal ended, as shells and engines report it: 128 and the number of the signal. */
const FIRST_SIGNAL_CODE = 129;
const LAST_SIGNAL_CODE = 159;

/**
 * Whether a job was cut off rather than ended by itself, so that its unfinished outputs do not count. One that we stop is
 * cut off too, whatever its exit.
 */
export const isCutOff = ({ exitCode, isOutOfMemory }: { exitCode: number; isOutOfMemory: boolean }): boolean =>
  isOutOfMemory || (exitCode >= FIRST_SIGNAL_CODE && exitCode <= LAST_SIGNAL_CODE);
