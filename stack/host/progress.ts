/** Tells the person who waits what is being done; lines go to stderr. */
export type Report = (line: string) => void;
